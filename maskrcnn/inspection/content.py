"""What the annotations of a data set hold: checks that need the sizes of the run, and the numbers of the report."""

from typing import NamedTuple

import numpy as np

from maskrcnn.data.resize import Sizing
from maskrcnn.data.selection import TO_LEARN
from maskrcnn.data.views import Shown
from maskrcnn.inspection.finding import Findings
from maskrcnn.inspection.limits import Limits

SMALLEST = 2.0  # pixels of the network's picture; half a cell of the finest level
CELLS = 24  # of the map of positions, along each side


class Content(NamedTuple):
    """Objects [M], without crowd regions, of N pictures."""

    classes: tuple[str, ...]
    labels: np.ndarray  # [M] int64
    counts: np.ndarray  # [N] int64, objects of each picture
    boxes: np.ndarray  # [M, 4] float64: x, y, width, height at the size of the network's pictures
    positions: np.ndarray  # [M, 2] float64, centres in shares of the picture's width and height
    pictures: np.ndarray  # [M] int64, positions of their pictures
    crowds: int

    def per_class(self) -> np.ndarray:
        """Objects of each class, [K] int64."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def position_map(self) -> np.ndarray:
        """Objects by the position of their centres, [CELLS, CELLS] int64, rows from top to bottom."""
        cells = np.clip((self.positions * CELLS).astype(int), 0, CELLS - 1)
        return np.bincount(cells[:, 1] * CELLS + cells[:, 0], minlength=CELLS * CELLS).reshape(CELLS, CELLS)


def take_content(shown: Shown, classes: tuple[str, ...], resize: Sizing) -> Content:
    """Gathers the objects of a part.

    Args:
        shown: its pictures; classes: name of each label.
        resize: the size at which the network sees pictures; that of validation counts.
    """
    records = shown.records
    sizes, which = np.unique(records.sizes, axis=0, return_inverse=True)
    scales = np.array([resize.view(height, width, None).size[0] / height for height, width in sizes.tolist()])
    place = np.full(len(records), -1)  # of each picture of the file among those that are shown
    place[shown.indices] = np.arange(len(shown))
    visible = (place[records.picture] >= 0) & (shown.labels[records.label] >= 0)
    kept = visible & ~records.crowd
    pictures, boxes = records.picture[kept], records.boxes[kept]
    scale = scales[which.reshape(-1)[pictures]][:, None]
    return Content(
        classes=classes,
        labels=shown.labels[records.label[kept]],
        counts=np.bincount(place[pictures], minlength=len(shown)),
        boxes=boxes * scale,
        positions=(boxes[:, :2] + boxes[:, 2:] / 2) / records.sizes[pictures][:, ::-1],
        pictures=place[pictures],
        crowds=int((visible & records.crowd).sum()),
    )


def check_sizes(content: Content, ids: list[int | str], findings: Findings) -> None:
    """Looks for objects that are too small to be found.

    Args:
        content: of a part; ids: of its pictures; findings: gets them.
    """
    for index in np.unique(content.pictures[content.boxes[:, 2:].min(axis=1, initial=np.inf) < SMALLEST]).tolist():
        what = f"pictures with objects under {SMALLEST:g} px at the network's size"
        findings.add("note", what, "raise data.resize, or remove them", ids[index], ids[index])


def check_caps(content: Content, ids: list[int | str], limits: Limits, findings: Findings) -> None:
    """Looks for pictures with more objects than the run has room for; see `check_sizes`."""
    caps = {"data.object_slots": limits.object_slots, "model.box_head.max_detections": limits.detections}
    for key, limit in caps.items():
        for index in np.flatnonzero(content.counts > limit).tolist():
            what = f"pictures with up to {content.counts.max()} objects, more than {key} ({limit})"
            also = " (and model.box_head.pre_nms with it)" if key.endswith("max_detections") else ""
            findings.add("note", what, f"raise {key}{also}", ids[index], ids[index])


def check_classes(train: tuple[str, ...], val: tuple[str, ...], findings: Findings) -> None:
    """Looks for classes that differ between the files of training and validation."""
    for name in sorted(set(train) ^ set(val)):
        part = "train" if name in val else "val"
        findings.add("error", f"classes that {part} lacks", "write the same categories into both files", name)
    if train != val and set(train) == set(val):
        what = "classes whose order differs between train and val"
        findings.add("error", what, "give them the same ids in both files", ", ".join(train))


def check_examples(trains: list[Content], vals: list[Content], train: Findings, val: Findings) -> None:
    """Looks for classes without an example in what is learnt or in what validates.

    Args:
        trains, vals: parts of the same classes, at least one to learn; train, val: get what is found.
    """
    learnt = np.sum([content.per_class() for content in trains], axis=0)
    scored = np.sum([content.per_class() for content in vals], axis=0) if vals else learnt
    for label, name in enumerate(trains[0].classes):
        if not learnt[label] and not scored[label]:
            train.add("note", "classes without an object", "annotate some, or leave them out by data.class_map", name)
        elif not learnt[label]:
            what = "classes without an example in train: they cannot be learnt"
            train.add("note", what, "move pictures, or choose another split", name)
        elif not scored[label]:
            what = "classes without an example in val: they count for nothing in the average"
            val.add("note", what, "move pictures, or choose another split", name)
    if vals and not scored.any():
        val.add("note", "parts without an object: AP cannot be measured", "annotate some", val.part)
    if not learnt.any():
        what = "parts without a usable object: there is nothing to learn"
        train.add("error", what, TO_LEARN, train.part)
