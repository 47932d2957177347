"""Pascal VOC's segmentation data (Everingham et al., http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc)."""

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from maskrcnn.data.convert.annotated import Annotated, Findings, Picture, Region, annotate, check_classes
from maskrcnn.data.header import SUFFIXES, any_size, check_size

BORDER = 255  # index of pixels that belong to no object for certain
SAME = 0.5  # IoU from which on a mask's box and a box of the XML are the same object

Box = tuple[str, bool, tuple[float, ...]]  # class, whether it is difficult, xmin, ymin, xmax, ymax counted from 1


def read_voc(source: Path, *, classes: list[str], split: str | None) -> Annotated:
    """Reads a folder with JPEGImages, SegmentationObject, SegmentationClass, and maybe Annotations and ImageSets.

    An object is an index of its picture's SegmentationObject but for 0 and 255 (background and border, which belong to
    no object). Its class is the index that most of its pixels have in SegmentationClass, border apart. Objects that the
    XML in Annotations calls difficult (found by class and box, IoU 0.5) become crowd regions: not learnt, and neither
    right nor wrong to find, as in VOC's detection task.

    Args:
        source: the folder.
        classes: names of the indices 1, 2, ... in SegmentationClass.
        split: name of a list in ImageSets/Segmentation, such as train; None for all of SegmentationObject.

    Raises:
        ValueError: a file is missing, broken, or does not fit the others; the message names it.
    """
    names = check_classes(classes, "read.classes")
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        if not (source / folder).is_dir():
            raise ValueError(
                f"source={source} has no folder {folder}; give the one that holds it, such as VOC2012. Boxes alone "
                "(Annotations) say nothing of masks"
            )
    photos = {path.stem: path for path in sorted((source / "JPEGImages").iterdir()) if path.suffix.lower() in SUFFIXES}
    findings: Findings = {}
    pictures = [_read_picture(source, name, photos, names, findings) for name in _listed(source, split)]
    return Annotated(source, names, pictures, findings)


def _listed(source: Path, split: str | None) -> list[str]:
    """Names of pictures without suffix."""
    if split is None:
        listed = sorted(path.stem for path in (source / "SegmentationObject").glob("*.png"))
    else:
        lists = source / "ImageSets" / "Segmentation"
        if not (lists / f"{split}.txt").is_file():
            known = sorted(path.stem for path in lists.glob("*.txt"))
            raise ValueError(f"read.split={split}: no {lists / f'{split}.txt'}; known: {', '.join(known) or 'none'}")
        lines = (lists / f"{split}.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        listed = [line.strip() for line in lines if line.strip()]
    if not listed:
        raise ValueError(f"source={source}: there is no picture to read; check read.split and SegmentationObject")
    return listed


def _read_picture(
    source: Path, name: str, photos: dict[str, Path], classes: tuple[str, ...], findings: Findings
) -> Picture:
    if name not in photos:
        raise ValueError(f"{source / 'JPEGImages'} has no picture {name}: complete it, or take {name} off the list")
    file = source / "SegmentationObject" / f"{name}.png"
    objects, kinds = read_indices(file), read_indices(source / "SegmentationClass" / f"{name}.png")
    height, width = objects.shape
    if kinds.shape != objects.shape:
        raise ValueError(
            f"{file} is {height} x {width}, but its SegmentationClass {kinds.shape[0]} x {kinds.shape[1]}: replace one"
        )
    check_size(photos[name], (height, width), file)
    boxes = _read_boxes(source / "Annotations" / f"{name}.xml")
    regions = []
    for index in np.unique(objects[(objects != 0) & (objects != BORDER)]).tolist():
        mask = objects == index
        label = _label(kinds[mask], classes, f"{file}, object {index}")
        box = _take(boxes, classes[label], mask)
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        segmentation = {"size": [height, width], "counts": rle["counts"].decode("ascii")}
        regions.append(Region(label, segmentation, box is not None and box[1], name))
        if box is not None and box[1]:
            findings.setdefault("difficult objects: made crowd regions", []).append(name)
    if boxes:
        findings.setdefault("boxes of an XML file without a mask: left out", []).extend([name] * len(boxes))
    return annotate(photos[name], (height, width), regions, findings)


def read_indices(file: Path) -> np.ndarray:
    """The indices [h, w] uint8 of a label map, not the colours that they are shown in.

    Args:
        file: a PNG with a palette, or a grey one of 8 bits.

    Raises:
        ValueError: it is something else, or broken.
    """
    if not file.is_file():
        raise ValueError(f"there is no {file}: complete the folder, or take the picture off the list")
    try:
        with any_size, Image.open(file) as picture:
            bits = picture.tile[0].args  # how they are stored; Pillow spreads grey of 2 and 4 bits over 0 to 255
            if picture.mode == "P" or (picture.mode == "L" and bits == "L"):
                return np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{file} is not a picture, or broken: replace it") from error
    raise ValueError(
        f"{file} holds colours instead of indices (mode {picture.mode}); save it as a PNG with a palette, or in grey "
        "of 8 bits, where 0 is background and 255 border; of CVAT, export COCO 1.0 instead"
    )


def _label(kinds: np.ndarray, classes: tuple[str, ...], where: str) -> int:
    kinds = kinds[kinds != BORDER]
    kind = int(np.bincount(kinds).argmax()) if kinds.size else 0
    if not 1 <= kind <= len(classes):
        raise ValueError(
            f"{where} has the index {kind} in SegmentationClass, but classes count from 1 to {len(classes)}: "
            "name all of them in read.classes, or correct the label map"
        )
    return kind - 1


def _read_boxes(file: Path) -> list[Box]:
    """The boxes of an XML file; none if there is no such file."""
    if not file.is_file():
        return []
    try:
        return [
            (
                entry.findtext("name", ""),
                entry.findtext("difficult", "0").strip() == "1",
                tuple(float(entry.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")),
            )
            for entry in _parse(file).iter("object")
        ]
    except (ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise ValueError(f"{file} is not an annotation of VOC, or broken ({error}): mend it, or remove it") from error


def _parse(file: Path) -> ElementTree.Element:
    """Parses XML, and refuses any DTD: entities that name each other grow without bound, or read other files."""

    def refuse(*_: object) -> None:
        raise ValueError("it has a DOCTYPE, which VOC's files do not have")

    data = file.read_bytes()
    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    guard.Parse(data, True)
    return ElementTree.fromstring(data)


def _take(boxes: list[Box], name: str, mask: np.ndarray) -> Box | None:
    """Removes and returns the box of a class that fits a mask [h, w] bool best, if any does."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    own = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    best = max((box for box in boxes if box[0] == name), key=lambda box: _iou(own, box[2]), default=None)
    if best is None or _iou(own, best[2]) < SAME:
        return None
    boxes.remove(best)
    return best


def _iou(own: tuple[int, ...], box: tuple[float, ...]) -> float:
    """IoU of x1, y1, x2, y2 with a box of VOC, whose first and last pixels count from 1."""
    other = (box[0] - 1, box[1] - 1, box[2], box[3])
    width = min(own[2], other[2]) - max(own[0], other[0])
    height = min(own[3], other[3]) - max(own[1], other[1])
    inner = max(width, 0) * max(height, 0)
    areas = (own[2] - own[0]) * (own[3] - own[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return inner / (areas - inner)
