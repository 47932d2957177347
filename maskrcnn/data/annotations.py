"""Reads COCO instance annotations and checks them.

What makes the file unusable raises, all of it in one message: no COCO file at all, pictures that are missing, doubled
ids of pictures or categories, annotations of unknown pictures or categories, annotations without a mask. What spoils a
single annotation does not:
- an annotation whose mask cannot be read, or has no pixel in the picture, is left out, and so is a box without a mask
  (an empty one; where it is absent, the file is refused);
- single polygons of fewer than three points are left out of their annotation;
- a box that is missing, or has no area, is taken from the mask; so is a missing area;
- annotation ids are issued anew, which is said where it matters: pycocotools takes an object with id 0 for unmatched,
  and loses objects whose id comes twice;
each with one warning for the file that says how many, and which come first.

What was read is kept in a cache, by the content of the file: the second time, COCO's 118,000 pictures take a second.
Polygons are kept as such, and rasterised when their picture is asked for: beside decoding it, that is little.
"""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskrcnn.data.cache import cache_folder
from maskrcnn.data.coco_file import MEND, PIECE, check_annotations, check_head, read_json, read_pieces
from maskrcnn.data.entries import EntryReader, Mended
from maskrcnn.data.few import counted, few_of
from maskrcnn.data.listing import Listing
from maskrcnn.data.progress import follow
from maskrcnn.data.records import Annotations, Picture, Record, Records, join_annotations, read_content, write_records
from maskrcnn.data.source import Split
from maskrcnn.garbage import not_collected

VERSION = 8  # to be raised when the same file is read into other records


@dataclass(frozen=True)
class CocoAnnotations:
    """A data set's classes and pictures. Labels count 0..K-1 in the order of the category ids."""

    file: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]  # of each label, as in the file
    records: Sequence[Record]

    def ground_truth(self) -> dict[str, Any]:
        """The data set for pycocotools with internal ids.

        Returns:
            A COCO dictionary: an image's id is its position in `records`, a category's is its label, annotations count
            from 1; every `segmentation` is a compressed RLE.
        """
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index, record in enumerate(self.records):
            images.append({"id": index, "file_name": record.name, "height": record.height, "width": record.width})
            for iscrowd, instances in enumerate((record.objects, record.crowds)):
                for label, box, area, mask in zip(*instances, strict=True):
                    annotations.append(
                        {
                            "id": len(annotations) + 1,
                            "image_id": index,
                            "category_id": int(label),
                            "bbox": box.tolist(),
                            "area": float(area),
                            "iscrowd": iscrowd,
                            "segmentation": {"size": [record.height, record.width], "counts": mask.decode("ascii")},
                        }
                    )
        categories = [{"id": label, "name": name} for label, name in enumerate(self.classes)]
        return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def read_annotations(split: Split) -> CocoAnnotations:
    """Reads and checks one part of a data set; warns of what was mended.

    Raises:
        ValueError: the file is not one of COCO instance annotations, or not consistent; the message names the file, the
            keys or ids, and the remedies.
        FileNotFoundError: the file or some of its pictures do not exist.
    """
    file = split.annotations
    if not file.is_file():
        raise FileNotFoundError(f"no annotation file {file}: check data.root and the paths under data.source")
    cached = _cached(file)
    records = Records(cached, split.images)
    _check_pictures(split, records)
    content = read_content(cached)
    for mended in (Mended(*values) for values in content["findings"]):
        first = few_of(mended.first, total=mended.number)
        warnings.warn(f"{file}: {counted(mended.number, 'annotation')} with {mended.what} (ids {first})", stacklevel=2)
    return CocoAnnotations(file, tuple(content["classes"]), tuple(content["category_ids"]), records)


def read_records(split: Split) -> Records:
    """The pictures of one part of a data set that `read_annotations` has checked, without another word of it."""
    return Records(_cached(split.annotations), split.images)


def _cached(file: Path) -> Path:
    """The file of records of an annotation file, made if there is none."""
    with file.open("rb") as stream:
        key = hashlib.file_digest(stream, "sha256").hexdigest()
    folder = cache_folder("annotations")
    cached = folder / f"{key}-{VERSION}.pt"
    if not cached.is_file():
        with not_collected():
            pictures, annotations, content = _parse(file)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_records(cached, pictures, annotations, content)
        except (OSError, RuntimeError) as error:  # RuntimeError: torch's, of a full disk
            raise OSError(
                f"the annotations cannot be kept in {folder} ({error}): make room, or set XDG_CACHE_HOME elsewhere"
            ) from error
    return cached


def _parse(file: Path) -> tuple[list[Picture], Annotations, dict[str, Any]]:
    """What an annotation file holds: pictures, usable annotations, and classes and findings."""
    try:
        return _read(file, *read_pieces(file))
    except ValueError:  # unusual, or unusable; as a whole, to say all that is wrong at once
        dataset = read_json(file)
        return _read(file, dataset, iter([dataset["annotations"]]), 1)


def _read(
    file: Path, dataset: dict[str, Any], pieces: Iterator[list[dict[str, Any]]], number: int
) -> tuple[list[Picture], Annotations, dict[str, Any]]:
    """The same of a file's content, with the annotations in a number of pieces."""
    ids = check_head(file, dataset)
    category_ids = sorted(ids.categories)
    pictures = [Picture(i["id"], i["file_name"], i["height"], i["width"]) for i in dataset["images"]]
    reader = EntryReader(pictures, ids.pictures, {id_: label for label, id_ in enumerate(category_ids)})
    parts = [reader.read([])]
    for piece in follow(pieces, number, "reading annotations"):
        check_annotations(file, piece, ids)
        parts += [reader.read(piece[start : start + PIECE]) for start in range(0, len(piece), PIECE)]
    content = {
        "classes": [dataset["categories"][ids.categories[id_]]["name"] for id_ in category_ids],
        "category_ids": category_ids,
        "findings": [list(mended) for mended in reader.mended()],
    }
    return pictures, join_annotations(parts), content


def _check_pictures(split: Split, records: Records) -> None:
    present = Listing(split.images)
    missing = [name for name in records.names() if name not in present]
    if missing:
        mend = f"\n{MEND}" if len(missing) < len(records) else ""
        raise FileNotFoundError(
            f"{len(missing)} of the {len(records)} pictures of {split.annotations} are not in {split.images}: "
            f"{few_of(missing)}. Check data.root and the paths under data.source, or complete the "
            f"pictures{mend}"
        )
