"""What the annotations of a data set hold: checks that need the sizes of the run, and the numbers of the report."""

from typing import NamedTuple

import numpy as np

from maskrcnn.data.records import Records
from maskrcnn.data.resize import Sizing
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


def take_content(records: Records, classes: tuple[str, ...], resize: Sizing) -> Content:
    """Gathers the objects of a part.

    Args:
        records: of the part; classes: name of each label.
        resize: the size at which the network sees pictures; that of validation counts.
    """
    sizes, which = np.unique(records.sizes, axis=0, return_inverse=True)
    scales = np.array([resize.view(height, width, None).size[0] / height for height, width in sizes.tolist()])
    kept = ~records.crowd
    pictures, boxes = records.picture[kept], records.boxes[kept]
    scale = scales[which.reshape(-1)[pictures]][:, None]
    return Content(
        classes=classes,
        labels=records.label[kept],
        counts=np.bincount(pictures, minlength=len(records)),
        boxes=boxes * scale,
        positions=(boxes[:, :2] + boxes[:, 2:] / 2) / records.sizes[pictures][:, ::-1],
        pictures=pictures,
        crowds=int(records.crowd.sum()),
    )


def check_sizes(content: Content, records: Records, findings: Findings) -> None:
    """Looks for objects that are too small to be found."""
    for index in np.unique(content.pictures[content.boxes[:, 2:].min(axis=1, initial=np.inf) < SMALLEST]).tolist():
        what = f"pictures with objects under {SMALLEST:g} px at the network's size"
        findings.add("note", what, "raise data.resize, or remove them", records[index].id, records[index].id)


def check_caps(content: Content, records: Records, limits: Limits, findings: Findings) -> None:
    """Looks for pictures with more objects than the run has room for."""
    caps = {"data.object_slots": limits.object_slots, "model.box_head.max_detections": limits.detections}
    for key, limit in caps.items():
        for index in np.flatnonzero(content.counts > limit).tolist():
            what = f"pictures with more objects than {key} ({limit}), up to {content.counts.max()}"
            also = " (and model.box_head.pre_nms with it)" if key.endswith("max_detections") else ""
            findings.add("note", what, f"raise {key}{also}", records[index].id, records[index].id)


def check_classes(train: Content, val: Content, findings: Findings) -> None:
    """Looks for classes that differ between the parts, or lack an example in one."""
    if train.classes != val.classes:
        for name in sorted(set(train.classes) ^ set(val.classes)):
            part = "train" if name in val.classes else "val"
            findings.add("error", f"classes that {part} lacks", "write the same categories into both files", name)
        if set(train.classes) == set(val.classes):
            what = "classes whose order differs between train and val"
            findings.add("error", what, "give them the same ids in both files", ", ".join(train.classes))
        return
    for part, content, other in (("train", train, val), ("val", val, train)):
        for label in np.flatnonzero((content.per_class() == 0) & (other.per_class() > 0)).tolist():
            consequence = "cannot be learnt" if part == "train" else "count for nothing in the average"
            what = f"classes without an example in {part}: they {consequence}"
            findings.add("note", what, "move pictures, or choose another split", content.classes[label])
