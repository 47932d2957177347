"""Mends an annotation file of COCO's format: what `read_annotations` would refuse or mend for itself, and more."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from pycocotools import mask as coco_mask

from maskrcnn.data.entries import AS_BACKGROUND, is_box, name_defect, odd_ids
from maskrcnn.data.header import Size, read_header
from maskrcnn.data.listing import Listing
from maskrcnn.data.progress import follow
from maskrcnn.data.segmentation import FARTHEST, Defect, compress, is_polygon, nest
from maskrcnn.data.source import Split
from maskrcnn.inspection.finding import Findings, Level
from maskrcnn.inspection.polygon import crosses_itself

MANY = 20_000  # annotations from which several processes and a progress bar pay
LEFT_OUT = "left out"
WITHOUT_PICTURE = "annotations of pictures that are left out"
FROM_MASK = "taken from the mask"
AGREE = 0.8  # IoU of a box with its mask's, below which they disagree if they are also more than 2 pixels apart
APART = 2.0


def mend(dataset: dict[str, Any], split: Split, channels: int, findings: Findings) -> dict[str, Any]:
    """Makes a data set sound by changing as little as possible.

    Args:
        dataset: a COCO file's content, with its three lists; not changed.
        split: where it and its pictures lie.
        channels: `data.channels`.
        findings: gets what is wrong, and what was changed.

    Returns:
        A data set that `read_annotations` reads without complaint.
    """
    categories = _categories(dataset["categories"], findings)
    sizes = _listed_sizes(dataset["images"])
    images = _images(dataset["images"], split, channels, sizes, findings)
    annotations = _annotations(dataset["annotations"], categories, images, sizes, findings)
    return {
        **dataset,
        "categories": list({category["id"]: category for category in categories.values()}.values()),
        "images": list(images.values()),
        "annotations": annotations,
    }


def _categories(categories: list[dict[str, Any]], findings: Findings) -> dict[int, dict[str, Any]]:
    """The category that each id of the file stands for."""
    known: dict[int, dict[str, Any]] = {}
    by_name: dict[str, dict[str, Any]] = {}
    similar: dict[str, str] = {}
    for category in categories:
        id_, name = category.get("id"), category.get("name")
        if type(id_) is not int or not isinstance(name, str):
            findings.mend("error", "categories without an integer id and a name", LEFT_OUT, category.get("id"))
        elif id_ in known:
            findings.mend("error", "category ids that come twice", "the later ones left out", id_)
        elif name in by_name:
            findings.mend("error", "category names that come twice", "joined to the first of that name", name)
            known[id_] = by_name[name]
        else:
            known[id_] = by_name[name] = category
            twin = similar.setdefault(name.strip().casefold(), name)
            if twin != name:
                remedy = "make them one, if they are (data.class_map does so for a run)"
                findings.add("note", "class names that differ in case or blanks only", remedy, f"{twin!r} {name!r}")
    return known


Key = tuple[type, Any]  # the type and value of a picture's id in the file


def _images(
    images: list[dict[str, Any]], split: Split, channels: int, listed: dict[Key, Size | None], findings: Findings
) -> dict[Key, dict[str, Any]]:
    """The usable pictures by the type and value of the id in the file.

    Of those that have another size than `listed`, none remains there: it may be that size which is wrong.
    """
    present = Listing(split.images)
    usable: dict[Key, dict[str, Any]] = {}
    names: dict[str, Any] = {}
    files: dict[Key, set[str]] = defaultdict(set)
    for image in images:
        if isinstance(image.get("id"), int | str) and isinstance(image.get("file_name"), str):
            files[type(image["id"]), image["id"]].add(image["file_name"])
    mixed = len({type(image.get("id")) for image in images}) > 1
    for image in follow(images, len(images), "headers of pictures"):
        id_, name = image.get("id"), image.get("file_name")
        if type(id_) not in (int, str) or not isinstance(name, str):
            findings.mend("error", "images without an id and a file_name", LEFT_OUT, id_ if name is None else name)
            continue
        if len(files[type(id_), id_]) > 1:  # whose annotations they are cannot be told
            findings.mend("error", "image ids of two pictures", "both left out with their annotations", f"{id_} {name}")
            continue
        if (type(id_), id_) in usable:
            findings.mend("error", "image ids that come twice", "the later ones left out", id_)
            continue
        if name not in present:
            findings.mend("error", "pictures that are missing", "left out with their annotations", name)
            continue
        if name in names:
            remedy = "join their annotations under one id"
            findings.add("note", "pictures that are listed under two ids", remedy, f"{names[name]} {id_}", id_)
        names.setdefault(name, id_)
        try:
            header = read_header(split.images / name)
        except (ValueError, OSError):
            findings.mend("error", "files that are no pictures, or broken", "left out with their annotations", name)
            continue
        if not header.suits(channels):
            what = f"pictures of {header.channels} channels, where data.channels is {channels}"
            findings.mend("error", what, "left out with their annotations", name)
            continue
        sized = _sized(image, header.shown, header.stored, findings)
        if sized is None:
            listed[type(id_), id_] = None
            continue
        if mixed:
            findings.mend("error", "image ids of another type than others", "numbered anew", id_)
            sized["id"] = len(usable) + 1
        usable[type(id_), id_] = sized
    return usable


def _listed_sizes(images: list[dict[str, Any]]) -> dict[Key, Size | None]:
    """The size that the file states for each id, also of pictures that are left out; None where it is unclear."""
    stated: dict[Key, set[Any]] = defaultdict(set)
    for image in images:
        size = tuple(_hashable(image.get(side)) for side in ("height", "width"))
        stated[type(image.get("id")), _hashable(image.get("id"))].add(size)
    return {
        key: next(iter(sizes)) if len(sizes) == 1 and all(map(_is_size, sizes)) else None
        for key, sizes in stated.items()
    }


def _is_size(size: Any) -> bool:
    return all(type(side) is int and 0 < side < FARTHEST for side in size)


def _sized(image: dict[str, Any], shown: Size, stored: Size, findings: Findings) -> dict[str, Any] | None:
    """The picture's entry with its true size; None where its annotations are for another one."""
    size, name = (image.get("height"), image.get("width")), image["file_name"]
    if not _is_size(size):
        findings.mend("error", "images without a height and width", "taken from the picture", image["id"])
        return {**image, "height": shown[0], "width": shown[1]}
    if size not in (shown, stored):
        what = "pictures of another size than their annotations are for"
        findings.mend("error", what, "left out with their annotations", f"{name} ({shown[0]} x {shown[1]})")
        return None
    if size != shown:
        what = "pictures annotated without their EXIF rotation"
        findings.add("note", what, "read without it, which is right if the masks fit", name, image["id"])
    return {**image}


class _Examined(NamedTuple):
    """What a segmentation turned out to be."""

    defect: str | None
    short: int  # polygons that are none
    crossing: bool
    box: list[float]  # of the mask
    area: float


def _examine(segmentation: Any, size: Size) -> _Examined:
    try:
        mask, short = compress(segmentation, *size)
    except Defect as defect:
        return _Examined(str(defect), 0, False, [], 0.0)
    rle = {"size": size, "counts": mask}
    polygons = segmentation if isinstance(segmentation, list) else []
    crossing = any(crosses_itself(polygon) for polygon in polygons if is_polygon(polygon))
    return _Examined(None, short, crossing, coco_mask.toBbox(rle).tolist(), float(coco_mask.area(rle)))


def _examine_all(segmentations: list[Any], sizes: list[Size]) -> Iterator[_Examined]:
    if len(segmentations) < MANY:
        yield from map(_examine, segmentations, sizes)
        return
    with ProcessPoolExecutor() as pool:
        examined = pool.map(_examine, segmentations, sizes, chunksize=1000)
        yield from follow(examined, len(segmentations), "masks of annotations")


def _annotations(
    annotations: list[dict[str, Any]],
    categories: dict[int, dict[str, Any]],
    images: dict[Key, dict[str, Any]],
    listed: dict[Key, Size | None],
    findings: Findings,
) -> list[dict[str, Any]]:
    """The usable annotations, numbered anew where their ids do not tell them apart.

    Those of pictures that are left out (which are listed, but not among the images) are looked through as well.
    """
    found: list[tuple[Any, dict[str, Any] | None, Size, dict[str, Any]]] = []  # id, picture, size, annotation
    numbers = {str(number): number for number in categories}
    for position, annotation in enumerate(annotations):
        id_ = annotation.get("id", f"#{position}")
        key = (type(annotation.get("image_id")), _hashable(annotation.get("image_id")))
        image = images.get(key)
        named: Any = annotation.get("category_id")
        as_text = isinstance(named, str) and named in numbers
        category = categories.get(numbers[named] if as_text else _hashable(named))
        if key not in listed:
            findings.mend("error", "annotations of pictures that are not there", LEFT_OUT, id_)
            continue
        if image is None:
            findings.mend("error", WITHOUT_PICTURE, LEFT_OUT, id_)
        note = partial(findings.mend, gone=image is None)
        size = listed[key] if image is None else (image["height"], image["width"])
        if category is None:
            note("error", "annotations of categories that are not there", LEFT_OUT, id_)
        elif annotation.get("segmentation") is None:
            done = AS_BACKGROUND if is_box(annotation.get("bbox")) else LEFT_OUT
            note("error", "annotations without a segmentation", done, id_, image and image["id"])
        elif size is not None:
            if as_text:
                note("mended", "annotations whose category_id is a text", "made a number", id_)
            changed = {"category_id": category["id"], "segmentation": nest(annotation["segmentation"])}
            if changed["segmentation"] is not annotation["segmentation"]:
                note("mended", "annotations whose polygon is not in a list of polygons", "put into one", id_)
            if image is not None:
                changed["image_id"] = image["id"]
            found.append((id_, image, size, {**annotation, **changed}))
    examined = _examine_all([annotation["segmentation"] for *_, annotation in found], [size for _, _, size, _ in found])
    usable = []
    first: dict[Any, tuple[Any, Any]] = {}  # id and mask, by picture, box and area
    for (id_, image, size, annotation), shape in zip(found, examined, strict=True):
        if _mend_annotation(id_, annotation, size, shape, findings, image) and image is not None:
            usable.append(annotation)
            key = (image["id"], *shape.box, shape.area)
            if key in first and first[key][1] == annotation["segmentation"]:
                what = "annotations with the same mask as another of their picture"
                findings.add("note", what, "keep one of each", f"{id_} = {first[key][0]}", image["id"])
            first.setdefault(key, (id_, annotation["segmentation"]))
    return _number(usable, findings)


def _mend_annotation(
    id_: Any,
    annotation: dict[str, Any],
    size: Size,
    shape: _Examined,
    findings: Findings,
    image: dict[str, Any] | None,
) -> bool:
    """Mends an annotation in place, of a picture or, if that is None, of one that is left out; returns whether it is
    usable.
    """
    note = partial(findings.mend, gone=image is None)
    picture = None if image is None else image["id"]
    if shape.defect is not None:
        defect, done = name_defect(shape.defect, annotation.get("bbox"))
        note("mended", f"annotations with {defect}", done, id_, picture)
        return False
    if shape.short:
        note("mended", "annotations with polygons of fewer than three points", "those polygons left out", id_)
        annotation["segmentation"] = [polygon for polygon in annotation["segmentation"] if is_polygon(polygon)]
    if shape.crossing:
        findings.add("note", "polygons that cross themselves", "draw them anew", id_, picture)
    wrong = _wrong_box(annotation.get("bbox"), size, shape)
    if wrong is not None:
        note(*wrong, FROM_MASK, id_, picture if wrong[0] == "note" else None)
        annotation["bbox"] = shape.box
    if annotation.get("iscrowd", 0) not in (0, 1):
        note("mended", "annotations whose iscrowd is neither 0 nor 1", "1 only where it is '1'", id_)
        annotation["iscrowd"] = int(annotation["iscrowd"] == "1")
    if not isinstance(annotation.get("area"), int | float) or not 0 < annotation["area"] < FARTHEST**2:
        note("mended", "annotations without an area", FROM_MASK, id_)
        annotation["area"] = shape.area
    return True


def _wrong_box(box: Any, size: Size, shape: _Examined) -> tuple[Level, str] | None:
    """What is wrong with a box, and how much that matters."""
    if not is_box(box):
        return "mended", "annotations without a box" if box is None else "boxes without area, or not of four numbers"
    if box[0] < -1 or box[1] < -1 or box[0] + box[2] > size[1] + 1 or box[1] + box[3] > size[0] + 1:
        return "note", "boxes that leave their picture"
    return ("note", "boxes that do not fit their masks") if _disagree(box, shape.box) else None


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _disagree(a: list[float], b: list[float]) -> bool:
    corners = [(x, y, x + width, y + height) for x, y, width, height in (a, b)]
    if max(abs(p - q) for p, q in zip(*corners)) <= APART:
        return False
    overlap = [max(0.0, min(corners[0][i + 2], corners[1][i + 2]) - max(corners[0][i], corners[1][i])) for i in (0, 1)]
    common = overlap[0] * overlap[1]
    return common < AGREE * (a[2] * a[3] + b[2] * b[3] - common)


def _number(annotations: list[dict[str, Any]], findings: Findings) -> list[dict[str, Any]]:
    """Numbers annotations anew if an id is zero, missing or doubled: pycocotools loses such objects."""
    odd, twice = odd_ids(annotation.get("id") for annotation in annotations)
    for id_ in odd:
        findings.mend("mended", "annotation ids that are zero or no number", "all numbered anew", id_)
    for id_ in twice:
        findings.mend("mended", "annotation ids that come twice", "all numbered anew", id_)
    if not odd and not twice:
        return annotations
    return [{**annotation, "id": number} for number, annotation in enumerate(annotations, 1)]
