"""YOLO's segmentation labels as Ultralytics reads them (https://docs.ultralytics.com/datasets/segment)."""

import math
import reprlib
from pathlib import Path
from typing import Any

import yaml

from maskrcnn.data.convert.annotated import Annotated, Findings, Region, annotate, check_classes
from maskrcnn.data.header import SUFFIXES, read_header

OVER = 0.01  # how far a coordinate may lie outside 0..1, as in Ultralytics; it is moved onto the border


def read_yolo(source: Path, *, split: str | None) -> Annotated:
    """Reads labels of polygons, one line an object: class x1 y1 x2 y2 ..., as shares of the picture's width and height.

    A line of five numbers is a box (class, centre, size) and becomes a rectangle. A picture without a label file has no
    objects. The pictures' sizes are those after turning them as their EXIF entry says, as in Ultralytics.

    Args:
        source: a data.yaml with `names` and folders or lists of pictures for each split; or a folder that holds one; or
            a folder with images/, labels/ and classes.txt.
        split: train, val or test of data.yaml, or the name of a folder in images/; None for the pictures that lie in
            images/ itself.

    Raises:
        ValueError: a file is broken, or the folder is not of this kind; the message names the file and line.
    """
    file = source
    if source.is_dir():
        file = next((source / name for name in ("data.yaml", "data.yml") if (source / name).is_file()), source)
    root, names, paths = _from_folder(source, split) if file.is_dir() else _from_yaml(file, split)
    if not paths:
        raise ValueError(f"source={source}: there is no picture to read for read.split={split}")
    findings: Findings = {}
    pictures = []
    files = [find_labels(path) for path in paths]
    for path, labels in zip(paths, files):
        if not labels.is_file():
            findings.setdefault("pictures without a label file: taken as without objects", []).append(path.name)
        size = read_header(path).shown
        regions = _read_labels(labels, size, names, findings) if labels.is_file() else []
        pictures.append(annotate(path, size, regions, findings))
    if not any(labels.is_file() for labels in files):
        raise ValueError(
            f"source={source}: none of the {len(paths)} pictures has labels; {label_path(paths[0])} is missing"
        )
    folders = {labels.parent: path.parent for path, labels in zip(paths, files) if labels.parent != path.parent}
    for labelled, pictured in sorted(folders.items()):
        known = {find_labels(path) for path in _pictures(pictured, deep=False)} | {labelled / "classes.txt"}
        for orphan in sorted(path.name for path in labelled.glob("*.txt") if path not in known):
            findings.setdefault("label files without a picture of their own: left out", []).append(orphan)
    if split is None:
        for path in sorted({*_pictures(root / "images", deep=True)} - {*paths}):
            what = "pictures in folders of images/: left out; read.split names a folder to read"
            findings.setdefault(what, []).append(path.relative_to(root / "images").as_posix())
    return Annotated(root, names, pictures, findings)


def find_labels(picture: Path) -> Path:
    """Where a picture's labels lie: `label_path`; or a.png.txt there, as `predict.py` writes beside a.jpg.txt."""
    usual = label_path(picture)
    whole = usual.with_name(f"{picture.name}.txt")
    return whole if whole.is_file() else usual


def label_path(picture: Path) -> Path:
    """Where a picture's labels lie: the last folder called images on its path becomes labels, the suffix .txt."""
    parts = list(picture.parent.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts, f"{picture.stem}.txt")


def _from_folder(root: Path, split: str | None) -> tuple[Path, tuple[str, ...], list[Path]]:
    """Root, classes and pictures of a folder without data.yaml."""
    lists = [path for path in (root / "classes.txt", root / "labels" / "classes.txt") if path.is_file()]
    folder = root / "images" / (split or "")
    if not lists or not folder.is_dir():
        missing = folder if lists else root / "classes.txt"
        raise ValueError(f"source={root} has neither data.yaml nor {missing}; give the folder or the data.yaml itself")
    lines = lists[0].read_text(encoding="utf-8-sig", errors="replace").rstrip().splitlines()
    classes = check_classes([line.strip() for line in lines], str(lists[0]))
    paths = _pictures(folder, deep=split is not None)
    if split is None and not paths:
        choices = sorted(path.name for path in folder.iterdir() if path.is_dir())
        raise ValueError(
            f"{folder} holds no picture itself; choose one of its folders by read.split: {', '.join(choices)}"
        )
    return root, classes, paths


def _from_yaml(file: Path, split: str | None) -> tuple[Path, tuple[str, ...], list[Path]]:
    """Root, classes and pictures of a split in data.yaml."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):  # a few can be more than any memory
            raise ValueError(f"{file} has aliases of YAML (*name), which are not read: write out what each stands for")
        entry = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file} is not YAML, or broken ({' '.join(str(error).split())}): mend it") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("names"), list | dict):
        raise ValueError(f"{file} has no 'names'; add the classes, as a list or as a mapping from 0, 1, ...")
    if "kpt_shape" in entry:
        raise ValueError(f"{file} has 'kpt_shape': its labels are boxes with key points, which say nothing of masks")
    names = entry["names"]
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise ValueError(f"{file}: the keys of 'names' must be 0 to {len(names) - 1}, but are {[*names]}")
        names = [names[label] for label in range(len(names))]
    root = file.parent / _text(entry.get("path") or "", "path", file)
    if not root.is_dir():
        raise ValueError(f"{file}: 'path' is {entry['path']!r}, but there is no {root}; correct it, or leave it out")
    known = [key for key in ("train", "val", "test") if entry.get(key)]
    if split not in known:
        raise ValueError(
            f"read.split={split}: {file} has {', '.join(known) or 'no split'}; choose one, or add it there"
        )
    places = entry[split] if isinstance(entry[split], list) else [entry[split]]
    paths = [path for place in places for path in _find(root, _text(place, split, file), file)]
    return root, check_classes(names, f"'names' of {file}"), paths


def _text(value: Any, key: str | None, file: Path) -> str:
    if not isinstance(value, str | int):  # a folder may be called 2024
        raise ValueError(f"{file}: {key!r} is {reprlib.repr(value)}; it must be a path")
    return str(value)


def _find(root: Path, place: str, file: Path) -> list[Path]:
    """The pictures of a folder, or of a list of paths."""
    # Roboflow's exports say ../train/images for a folder beside data.yaml; Ultralytics takes that too.
    found = next(
        (path for path in (root / place, root / place.removeprefix("../")) if path.is_dir() or path.is_file()), None
    )
    if found is None:
        raise ValueError(f"{file}: there is no {root / place}; correct 'path' and the splits")
    if found.is_dir():
        return _pictures(found, deep=True)
    lines = found.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    paths = [
        found.parent / line.strip() if line.startswith("./") else root / line.strip() for line in lines if line.strip()
    ]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{found}: there is no picture {path}; complete the pictures, or remove the line")
    return paths


def _pictures(folder: Path, *, deep: bool) -> list[Path]:
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())


def _read_labels(file: Path, size: tuple[int, int], classes: tuple[str, ...], findings: Findings) -> list[Region]:
    regions = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        label, shares = _parse(line, classes, f"{file}, line {number}")
        where = f"{file.name}:{number}"
        if len(shares) == 4:
            x, y, width, height = shares
            left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
            shares = [left, top, right, top, right, bottom, left, bottom]
            findings.setdefault("boxes: made rectangles", []).append(where)
        polygon = [min(max(share, 0.0), 1.0) * size[1 - i % 2] for i, share in enumerate(shares)]
        regions.append(Region(label, [polygon], False, where))
    return regions


def _parse(line: str, classes: tuple[str, ...], where: str) -> tuple[int, list[float]]:
    """The label and the coordinates of a line."""
    try:
        label, *shares = [float(word) for word in line.split()]
    except ValueError as error:
        raise ValueError(f"{where}: {line[:40]!r} is not all numbers; write class x1 y1 x2 y2 ...") from error
    if label not in range(len(classes)):
        raise ValueError(
            f"{where}: the class is {line.split()[0]}, but {len(classes)} are named, from 0 on; name it, too"
        )
    if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
        raise ValueError(
            f"{where}: {len(shares)} numbers after the class are neither a box (4) nor a polygon (6, 8, ...); "
            "correct or remove the line, and leave out scores"
        )
    odd: list[Any] = [share for share in shares if not math.isfinite(share) or not -OVER <= share <= 1 + OVER]
    if odd:
        raise ValueError(
            f"{where}: the coordinate {odd[0]} is not a share of the picture; divide x by its width, y by its height"
        )
    return int(label), shares
