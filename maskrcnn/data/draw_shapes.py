"""Draws one picture of the shapes data set: coloured shapes on textured ground that partly hide each other."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

CLASSES = ("circle", "square", "triangle", "star")
HEIGHT, WIDTH = 192, 256
EXTENT = (12.0, 118.0)  # longer side of a shape's box, in pixels
MOST_OBJECTS = 8
EMPTY_SHARE = 0.10  # pictures without objects
OVERLAP_SHARE = 0.40  # pictures where the last shape must hide 15 % or more of another
CROWD_SHARE = 0.04  # pictures with a crowd region
CROWD_EXTENT = (12.0, 15.0)
CROWD_MEMBERS = 16
HIDDEN = (0.15, 0.60)  # how much of a shape a deliberate overlap hides
MOST_HIDDEN = 0.70  # of any shape, by all that lie on it
LEAST_VISIBLE = 30  # pixels
TRIES = 30


class Drawing(NamedTuple):
    """A picture and what is to be seen on it."""

    image: np.ndarray  # [HEIGHT, WIDTH, 3] uint8 RGB
    labels: list[int]
    masks: list[np.ndarray]  # the visible part of each object, [HEIGHT, WIDTH] bool
    occlusions: list[float]  # share of each object's area that other objects hide
    crowd: tuple[int, np.ndarray] | None  # label and region of a group that is not told apart


def _corners(label: int) -> np.ndarray:
    """Vertices [n, 2] of a class's shape around the origin."""
    name = CLASSES[label]
    count = {"circle": 64, "square": 4, "triangle": 3, "star": 10}[name]
    angles = np.arange(count) * (2 * np.pi / count)
    radii = np.ones(count)
    if name == "star":
        radii[1::2] = 0.45
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


def _outline(rng: Generator, label: int, extent: float) -> np.ndarray:
    """The shape's vertices [n, 2], turned at random, in a box from the origin on whose longer side is `extent`."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points: np.ndarray = _corners(label) @ turn
    points -= points.min(axis=0)
    return points * (extent / points.max())


def _fill(points: np.ndarray) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    # Vertices are in continuous pixels, fillPoly counts from pixel centres, in 1/16 of a pixel here.
    cv2.fillPoly(mask, [np.rint((points - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return mask.view(bool)


def _area(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))  # of a bool array ten times as fast as its sum


def _place(
    rng: Generator, label: int, extent: tuple[float, float], centre: np.ndarray | None, spread: float
) -> np.ndarray:
    """A random shape as a mask, wholly in the picture: anywhere, or around a centre (x, y)."""
    size = np.exp(rng.uniform(np.log(extent[0]), np.log(extent[1])))  # as many small ones as large ones
    points = _outline(rng, label, size)
    room = np.array([WIDTH, HEIGHT]) - points.max(axis=0)
    if centre is None:
        corner = rng.uniform(0, room)
    else:
        corner = centre + rng.uniform(-spread, spread, size=2) - points.max(axis=0) / 2
    return _fill(points + np.clip(corner, 0, room))


def _has_hole(mask: np.ndarray) -> bool:
    """Whether the region surrounds something; COCO's polygons cannot say so."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    window = mask.view(np.uint8)[y : y + height, x : x + width]
    contours, hierarchy = cv2.findContours(window, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return len(contours) > 0 and bool((hierarchy[0, :, 3] >= 0).any())


def _arrange(rng: Generator, taken: np.ndarray) -> tuple[list[int], list[np.ndarray], list[float]]:
    """Labels, visible masks and hidden shares of objects laid down one after the other, outside a region."""
    labels: list[int] = []
    visible: list[np.ndarray] = []
    areas: list[int] = []
    wanted = int(rng.integers(1, MOST_OBJECTS + 1))
    overlap = rng.random() < OVERLAP_SHARE
    if overlap:
        wanted = max(wanted, 2)
    for k in range(wanted):
        label = int(rng.integers(len(CLASSES)))
        deliberate = overlap and k == wanted - 1
        for _ in range(TRIES):
            centre, spread = None, 0.0
            if deliberate and visible:
                rows, columns = np.nonzero(visible[rng.integers(len(visible))])
                centre = np.array([columns.mean(), rows.mean()])
                spread = 0.8 * np.sqrt(len(rows)) + 6
            mask = _place(rng, label, EXTENT, centre, spread)
            if (mask & taken).any() or _area(mask) < LEAST_VISIBLE:
                continue
            after = [seen & ~mask for seen in visible]
            lost = [1 - _area(rest) / _area(seen) for seen, rest in zip(visible, after, strict=True)]
            if deliberate and not any(HIDDEN[0] <= share <= HIDDEN[1] for share in lost):
                continue
            if all(
                share == 0 or (_area(rest) >= max(LEAST_VISIBLE, (1 - MOST_HIDDEN) * area) and not _has_hole(rest))
                for share, rest, area in zip(lost, after, areas, strict=True)
            ):
                labels.append(label)
                visible = [*after, mask]
                areas.append(_area(mask))
                break
    return labels, visible, [1 - _area(mask) / area for mask, area in zip(visible, areas, strict=True)]


def _crowd(rng: Generator) -> tuple[int, np.ndarray, list[np.ndarray]]:
    """A group of small shapes of one class: its label, region and members."""
    label = int(rng.integers(len(CLASSES)))
    centre = rng.uniform([50, 40], [WIDTH - 50, HEIGHT - 40])
    members = [_place(rng, label, CROWD_EXTENT, centre, 34.0) for _ in range(CROWD_MEMBERS)]
    return label, np.logical_or.reduce(members), members


def _relief(rng: Generator) -> np.ndarray:
    """Smooth noise [HEIGHT, WIDTH] float32 of two scales, about -1..1."""
    coarse, fine = (rng.uniform(-1, 1, size=size).astype(np.float32) for size in ((5, 7), (24, 32)))
    mixed = 0.6 * cv2.resize(coarse, (32, 24), interpolation=cv2.INTER_CUBIC) + 0.4 * fine
    return cv2.resize(mixed, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def _paint(rng: Generator, masks: list[np.ndarray]) -> np.ndarray:
    """A picture [HEIGHT, WIDTH, 3] uint8 of masks in different hues on a ground without much colour."""
    owner = np.zeros((HEIGHT, WIDTH), np.uint8)  # 0 = ground
    for k, mask in enumerate(masks, start=1):
        owner[mask] = k
    # The golden section keeps the hues of masks that are near in the list far apart.
    hues = (rng.random() + 0.618034 * np.arange(len(masks))) % 1 * 360
    hsv = np.stack([hues, rng.uniform(0.65, 1, len(masks)), rng.uniform(0.6, 1, len(masks))], axis=1)
    ground = rng.uniform(70, 170) + rng.uniform(-12, 12, size=(1, 3))
    colours = [cv2.cvtColor(hsv[None, [k]].astype(np.float32), cv2.COLOR_HSV2RGB)[0] * 255 for k in range(len(masks))]
    palette = np.concatenate([ground, *colours]).astype(np.float32) * np.float32(rng.uniform(0.75, 1.15))
    strength = np.full(len(masks) + 1, 0.2, np.float32)
    strength[0] = 0.4
    light = 1 + strength[owner] * _relief(rng)
    image = palette.take(owner, axis=0)
    image *= light[..., None]
    image += rng.integers(-6, 7, size=(HEIGHT, WIDTH, 1), dtype=np.int8)
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def draw_shapes(rng: Generator) -> Drawing:
    """Draws a picture of up to eight objects, at times with a crowd region.

    Args:
        rng: the only source of randomness.
    """
    if rng.random() < EMPTY_SHARE:
        return Drawing(_paint(rng, []), [], [], [], None)
    taken = np.zeros((HEIGHT, WIDTH), bool)
    crowd = None
    members: list[np.ndarray] = []
    if rng.random() < CROWD_SHARE:
        label, taken, members = _crowd(rng)
        crowd = (label, taken)
    labels, visible, occlusions = _arrange(rng, taken)
    return Drawing(_paint(rng, [*members, *visible]), labels, visible, occlusions, crowd)
