"""Classes chosen, merged and renamed; and the classes of several data sets joined."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.few import few_of
from maskrcnn.data.records import Record
from maskrcnn.data.views import Joined, Relabelled

ClassMap = dict[str, list[str]]


def map_classes(annotations: CocoAnnotations, class_map: ClassMap) -> CocoAnnotations:
    """Chooses, merges and renames classes.

    Args:
        annotations: a data set.
        class_map: old names by new name. Labels follow its order; a new class has the category id of the first old one
            that is listed for it. What is not listed is left out.

    Raises:
        ValueError: no class at all, an old name that the data set does not have, or that is listed twice.
    """
    labels = np.full(len(annotations.classes), -1)
    for label, (new, names) in enumerate(class_map.items()):
        if not isinstance(new, str) or not names:
            raise ValueError(f"data.class_map.{new} is {names}; give a name, and the list of names that it stands for")
        for name in names:
            if name not in annotations.classes:
                near = difflib.get_close_matches(name, annotations.classes, n=3)
                listed = few_of(annotations.classes, 20)
                known = f"Did you mean {' or '.join(near)}?" if near else f"There are {listed}."
                raise ValueError(f"data.class_map.{new}: {annotations.file} has no class {name!r}. {known}")
            old = annotations.classes.index(name)
            if labels[old] >= 0:
                raise ValueError(f"data.class_map lists {name!r} twice; an object has one class")
            labels[old] = label
    if not class_map:
        raise ValueError("data.class_map lists no class; null keeps the classes as they are")
    ids = tuple(annotations.category_ids[annotations.classes.index(names[0])] for names in class_map.values())
    return CocoAnnotations(annotations.file, tuple(class_map), ids, Relabelled(annotations.records, labels))


def join(parts: dict[str, CocoAnnotations], classes: tuple[str, ...], category_ids: tuple[int, ...]) -> CocoAnnotations:
    """Puts data sets one after the other; their files are named together, as in a shell: `sets/{a.json,b.json}`.

    Args:
        parts: by name of the set, at least one; classes, category_ids: of `join_classes`.
    """
    if len(parts) == 1 and next(iter(parts.values())).classes == classes:
        return next(iter(parts.values()))
    records: dict[str, Sequence[Record]] = {
        name: Relabelled(part.records, np.array([classes.index(one) for one in part.classes]))
        for name, part in parts.items()
    }
    files = list(dict.fromkeys(part.file.resolve() for part in parts.values()))
    folder = Path(os.path.commonpath([file.parent for file in files]))
    names = ",".join(str(file.relative_to(folder)) for file in files)
    return CocoAnnotations(
        folder / (f"{{{names}}}" if len(files) > 1 else names), classes, category_ids, Joined(records)
    )


def join_classes(parts: Sequence[CocoAnnotations]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The classes of several data sets by name, in the order in which they come, and their category ids: the sets' own
    where they agree, else counted from 1.
    """
    pairs = {pair for part in parts for pair in zip(part.classes, part.category_ids)}
    classes = tuple(dict.fromkeys(name for part in parts for name in part.classes))
    ids = dict(pairs)
    if len(pairs) == len(classes) == len(set(ids.values())):
        return classes, tuple(ids[name] for name in classes)
    return classes, tuple(range(1, len(classes) + 1))
