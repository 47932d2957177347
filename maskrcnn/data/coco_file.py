"""An annotation file of COCO's format: its JSON, read in pieces or as a whole, and what makes it unusable."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from maskrcnn.data.few import few_of
from maskrcnn.data.segmentation import FARTHEST

KEYS_OF_PICTURES = {"images", "categories"}  # files of pictures alone, as COCO's image_info_test, end there
MEND = (
    "python inspect_data.py with the same data=... shows all; with fix=true out=clean.json it leaves out what is wrong"
)
PIECE = 1_000  # annotations that are read at a time: their numbers stay in the cache of a core


class Ids(NamedTuple):
    """The ids of a file's pictures and categories, and their positions in its lists."""

    pictures: dict[int | str, int]
    categories: dict[int, int]


def read_json(file: Path) -> dict[str, Any]:
    """The content of an annotation file, with its three lists of mappings; annotations may be left out.

    Raises:
        ValueError: it is not of COCO's format; the message names it.
    """
    raw = file.read_bytes()
    try:
        dataset = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            dataset = json.loads(raw)  # takes NaN and Infinity too, which Python's own writer writes
        except (ValueError, RecursionError) as error:  # of JSON or of UTF-8
            raise ValueError(f"{file} is not JSON, or broken ({error}): copy or download it again") from error
    if isinstance(dataset, dict) and dataset.keys() >= KEYS_OF_PICTURES:
        dataset.setdefault("annotations", [])
    for key in ("images", "annotations", "categories"):
        _check_list(file, key, dataset.get(key) if isinstance(dataset, dict) else None)
    _name_files(dataset["images"])
    return dataset


class _Content(msgspec.Struct):
    """What is read of a file, each entry by itself later: one pass over hundreds of megabytes."""

    images: msgspec.Raw
    categories: msgspec.Raw
    annotations: list[msgspec.Raw] = []


def read_pieces(file: Path) -> tuple[dict[str, Any], Iterator[list[dict[str, Any]]], int]:
    """The same content with some annotations at a time: half the time, and a seventh of the memory (COCO's take 4 GB).

    Returns:
        Pictures and categories; the annotations in pieces, to be read once; how many pieces there are.

    Raises:
        ValueError: it is not as usual, which the pieces may also find out later: `read_json` says what is wrong, or
            reads it nevertheless.
    """
    try:
        content = msgspec.json.decode(file.read_bytes(), type=_Content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError from error
    entries = content.annotations
    dataset = {"images": orjson.loads(memoryview(content.images))}
    dataset["categories"] = orjson.loads(memoryview(content.categories))
    for key in ("images", "categories"):
        _check_list(file, key, dataset.get(key))
    _name_files(dataset["images"])
    starts = range(0, len(entries), PIECE)

    def pieces() -> Iterator[list[dict[str, Any]]]:
        for start in starts:
            piece = orjson.loads(b"[" + b",".join(entries[start : start + PIECE]) + b"]")
            _check_list(file, "annotations", piece)
            yield piece

    return dataset, pieces(), len(starts)


def _name_files(images: list[dict[str, Any]]) -> None:
    """Turns the paths of Windows, which Label Studio writes there, into those of any system; where there is no name, as
    in LVIS's files of version 1, takes the folder and the name at the end of `coco_url`.
    """
    for image in images:
        url = image.get("coco_url")
        if "file_name" not in image and isinstance(url, str):
            image["file_name"] = "/".join(url.split("/")[-2:])
        name = image.get("file_name")
        if isinstance(name, str) and "\\" in name:
            image["file_name"] = name.replace("\\", "/")


def _check_list(file: Path, key: str, entries: Any) -> None:
    if not isinstance(entries, list):
        raise ValueError(
            f"{file} has no list {key!r}, so it is not a COCO instance annotation file "
            "(https://cocodataset.org/#format-data)"
        )
    if not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{file}: the entries of {key!r} must be objects with an id")


def check_head(file: Path, dataset: dict[str, Any]) -> Ids:
    """Checks the pictures and categories of a file.

    Raises:
        ValueError: some are not usable; the message names the file and all that is wrong.
    """
    mendable = bool(dataset["categories"] and dataset["images"])
    _refuse(file, [*_category_problems(dataset["categories"]), *_image_problems(dataset["images"])], mendable)
    pictures, categories = (
        {entry["id"]: position for position, entry in enumerate(dataset[key])} for key in ("images", "categories")
    )
    return Ids(pictures, categories)


def check_annotations(file: Path, annotations: list[dict[str, Any]], ids: Ids) -> None:
    """Checks that annotations have a picture and a category of the file, and a mask.

    Raises:
        ValueError: some have not; the message names the file and all that is wrong.
    """
    _refuse(file, list(_annotation_problems(annotations, ids)), True)


def _refuse(file: Path, problems: list[str], mendable: bool) -> None:
    if problems:
        listed = problems[0] if len(problems) == 1 else "".join(f"\n- {problem}" for problem in problems)
        raise ValueError(f"{file}: {listed}" + (f"\n{MEND}" if mendable else ""))


def _category_problems(categories: list[dict[str, Any]]) -> Iterator[str]:
    if not categories:
        yield "'categories' is empty; a data set needs at least one class"
    odd = [c for c in categories if type(c.get("id")) is not int or not isinstance(c.get("name"), str)]
    if odd:
        yield f"a category needs an integer 'id' and a 'name', but one is {odd[0]}"
        return
    halves = [c for c in categories if c["name"].encode(errors="ignore").decode() != c["name"]]
    if halves:
        yield f"the name of category {halves[0]['id']} holds half a character, which no file can: give it another name"
    for key in ("id", "name"):
        twice = _twice(c[key] for c in categories)
        if twice:
            joined = " (inspect_data.py with fix=true joins them)" if key == "name" else ""
            yield f"category {key} {few_of(twice)} comes more than once; make it unique{joined}"


def _image_problems(images: list[dict[str, Any]]) -> Iterator[str]:
    if not images:
        yield "'images' is empty: there is no picture to read. Check that this is the right annotation file"
        return
    for key in ("id", "file_name", "height", "width"):
        without = [image for image in images if key not in image]
        if without:
            yield f"an image has no {key!r}: {without[0]}" + (f" ({len(without)} in all)" if len(without) > 1 else "")
            return
    for image in (image for image in images if not isinstance(image["file_name"], str)):
        yield f"image {image['id']} has the file_name {image['file_name']!r}; it must be a text"
        break
    for image in images:
        if not all(type(image[key]) is int and 0 < image[key] < FARTHEST for key in ("height", "width")):
            yield (
                f"image {image['id']} is {image['height']!r} high and {image['width']!r} wide; "
                "both must be positive integers, the size of the picture in pixels"
            )
            break
    types = {type(image["id"]) for image in images}
    if types not in ({int}, {str}):
        examples = {type(image["id"]).__name__: image["id"] for image in images}
        yield (
            "image ids must be all integers or all strings, but some are "
            f"{' and others '.join(f'{name} ({id_!r})' for name, id_ in sorted(examples.items()))}"
        )
        return
    twice = _twice(image["id"] for image in images)
    if twice:
        yield f"image id {few_of(twice)} comes more than once; give every picture its own"


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _annotation_problems(annotations: list[dict[str, Any]], ids: Ids) -> Iterator[str]:
    for key, listed, known in (("image_id", "images", ids.pictures), ("category_id", "categories", ids.categories)):
        odd = [a for a in annotations if type(a.get(key)) not in (int, str) or a[key] not in known]
        if odd:
            values = sorted({repr(a.get(key)) for a in odd})
            yield (
                f"the {key} of annotations {few_of([a.get('id') for a in odd])} is not in {listed!r}: "
                f"{few_of(values)}. The ids there are like {next(iter(known))!r}"
            )
    bare = [a.get("id") for a in annotations if a.get("segmentation") is None]
    if bare:
        yield (
            f"{len(bare)} of {len(annotations)} annotations have no 'segmentation' (ids {few_of(bare)}). "
            "Mask R-CNN learns from masks: add polygons or run lengths, or remove these annotations"
        )
