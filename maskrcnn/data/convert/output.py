"""Files and folders that appear as a whole or not at all, and never in the place of others; pictures in them."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from maskrcnn.data.convert.annotated import Annotated, Picture


def check_free(out: Path) -> None:
    """Raises a ValueError if there already is something."""
    if os.path.lexists(out):
        raise ValueError(f"out={out} is already there: delete it, or give another name")


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A path beside `out` to write a file or folder to; it is renamed at the end, and removed after an error.

    Raises:
        ValueError: `out` is already there.
    """
    check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}-{os.getpid()}")
    try:
        yield partial
        check_free(out)
        os.rename(partial, out)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def place_pictures(
    annotated: Annotated, folder: Path, how: Literal["copy", "symlink"], label_path: Callable[[Path], Path]
) -> Iterator[tuple[Picture, Path]]:
    """Puts the pictures of a data set into a folder, each by its path below the data set's root.

    Args:
        annotated: the data set; folder: for its pictures.
        how: whether to copy them or to link to where they are.
        label_path: where the labels of a picture in `folder` belong.

    Returns:
        Each picture with the path of its labels, when it is in its place and both have their folders.

    Raises:
        ValueError: two pictures would have the same label file.
    """
    owners: dict[Path, Path] = {}
    for picture in annotated.pictures:
        name = os.path.relpath(picture.path, annotated.root)
        target = folder / (picture.path.name if name.startswith("..") else name)
        labels = label_path(target)
        if labels in owners:
            raise ValueError(
                f"{picture.path} and {owners[labels]} would share the label file {labels.name}: rename one of them"
            )
        owners[labels] = picture.path
        for path in (target, labels):
            path.parent.mkdir(parents=True, exist_ok=True)
        if how == "copy":
            shutil.copyfile(picture.path, target)
        else:
            target.symlink_to(picture.path.resolve())
        yield picture, labels
