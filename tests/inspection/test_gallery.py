"""Sheets of lost objects."""

from pathlib import Path

import numpy as np
import pytest

from maskrcnn.evaluation.rle import encode_crops
from maskrcnn.inspection import gallery
from maskrcnn.inspection.buckets import BUCKETS
from maskrcnn.inspection.funnel import Lost, Missed, Nearest
from maskrcnn.ops.paste import Crop


def test_the_legend_names_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(gallery, "_save", lambda tiles, title, legend, path: said.append(f"{title}; {legend}"))
    picture = np.full((40, 40, 3), 200, np.uint8)
    (rle,) = encode_crops([Crop(np.ones((10, 10), bool), 5, 5)], (40, 40))
    near = Nearest([5.0, 5, 15, 15], 0.4, 0.9, 0)
    plain = Missed([5, 5, 10, 10], 0, 100.0, rle, Lost("box_nms", near, None), None, 0.0)
    rival = plain._replace(lost=Lost("box_nms", near, near))
    bucket = next(bucket for bucket in BUCKETS if bucket.name == "box_nms")
    for place in (0, 6):  # of 13, all but the one in the middle are drawn
        missed = [(0, rival if i == place else plain) for i in range(13)]
        gallery.draw_gallery(bucket, missed, lambda index: picture, ["cell"], Path("a.png"))
    assert said[1] == f"{bucket.title}: 12 of 13; {gallery.LEGEND}"
    assert said[0] == said[1] + ", pink: what stands in its place"
