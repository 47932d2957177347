"""Maps of several levels beside each other in one panel."""

from typing import NamedTuple

import numpy as np

from maskrcnn.visualize.panel import WIDTH
from maskrcnn.visualize.scene import FOLLOWED, Scene, zoom_size
from maskrcnn.visualize.sheet import captioned, contact_sheet
from maskrcnn.visualize.text import text_size
from maskrcnn.visualize.view import View, whole

GAP = 4  # pixels between tiles


class Tile(NamedTuple):
    """The map of one level."""

    caption: str
    picture: np.ndarray  # [h, w, 3] u8 RGB, a pixel for each cell
    stride: float  # pixels of the canvas along a side of a cell
    frame: int  # width of the frame around the followed object; 0 for none


def level_tiles(scene: Scene, tiles: list[Tile]) -> np.ndarray:
    """The content's part of each map under its caption, row by row, as large as they fit: [h, w, 3] u8 RGB."""
    view, columns = tile_view(scene, len(tiles))
    shown = []
    for tile in tiles:
        picture = view.show(tile.picture, tile.stride)
        if scene.example is not None and tile.frame:
            view.box(picture, scene.example.box, FOLLOWED, tile.frame)
        shown.append(captioned(picture, tile.caption))
    return contact_sheet(shown, columns, GAP)


def tile_view(scene: Scene, tiles: int) -> tuple[View, int]:
    """How the content is shown in each of some tiles, and the number of columns that makes them largest."""
    height = max(scene.view.size[0], zoom_size(scene)[0])
    rows_shown, columns_shown = scene.picture.shape[:2]
    views = []
    for columns in range(1, tiles + 1):
        rows = -(-tiles // columns)
        space = (height + GAP) // rows - GAP - text_size("", 1)[1], (WIDTH + GAP) // columns - GAP
        views.append(whole(rows_shown, columns_shown, space))
    best = max(range(tiles), key=lambda i: views[i].scale)
    return views[best], best + 1
