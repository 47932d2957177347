"""Which pictures are learnt and which validate, with which classes."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from maskrcnn.data.annotations import CocoAnnotations, read_annotations
from maskrcnn.data.census import Census
from maskrcnn.data.class_map import ClassMap, join, join_classes, map_classes
from maskrcnn.data.few import few, few_names, unlike_names
from maskrcnn.data.folds import find_groups, stratify
from maskrcnn.data.records import Records
from maskrcnn.data.repeat import repeat_factors
from maskrcnn.data.source import Split, Splits
from maskrcnn.data.views import Chosen, take_census

TO_LEARN = (
    "annotate some with masks. Boxes alone do not count, nor do crowd regions: where each of them is one object, "
    "as in exports of masks from CVAT, set their iscrowd to 0"
)


class Selected(NamedTuple):
    """What was selected."""

    train: CocoAnnotations
    val: CocoAnnotations
    census: Census  # of the training pictures
    factors: np.ndarray  # [n] float64: how often each training picture comes in an epoch, on average
    notes: list[str]  # what a user should know of it; empty where everything is as in the files
    learning_notes: list[str]  # likewise, of what concerns training alone


class Selection:
    """Selects pictures and classes.

    Each data set of a mixture is split for itself, by its own classes, so that splits are the same for any class map.

    Args:
        fold, folds: train on all but one of so many parts of the training file, and validate on that part, 0 to
            folds - 1; null validates on the validation file.
        val_fraction: the share of the training file's pictures to validate on, where there is no validation file.
        fold_group: regular expression, searched for in file names; pictures for which it captures the same text stay in
            one part. Null: each picture for itself.
        fold_seed: of the parts and of `fraction`, from 0 on; they do not depend on the run's seed.
        fraction: the share of the training pictures to learn from; a smaller one is a part of a larger one.
        class_map: see `map_classes`; null keeps the classes.
        repeat_threshold: see `repeat_factors`; 0 for none, 0.001 in LVIS.

    Raises:
        ValueError: a choice is not usable, or contradicts another.
    """

    def __init__(
        self,
        fold: int | None,
        folds: int | None,
        val_fraction: float | None,
        fold_group: str | None,
        fold_seed: int,
        fraction: float,
        class_map: ClassMap | None,
        repeat_threshold: float,
    ) -> None:
        if (fold is None) != (folds is None):
            given = f"data.folds={folds}" if fold is None else f"data.fold={fold}"
            raise ValueError(
                f"{given} needs the other of the two: data.fold=0 data.folds=5 trains on the last four fifths"
            )
        if fold is not None and folds is not None and (folds < 2 or not 0 <= fold < folds):
            raise ValueError(f"data.fold is {fold} of data.folds={folds}; give 2 or more, and one of 0 to folds - 1")
        if folds is not None and val_fraction is not None:
            raise ValueError(
                f"data.folds={folds} and data.val_fraction={val_fraction} contradict: set one of them to null"
            )
        if val_fraction is not None and not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction is {val_fraction}; give a share between 0 and 1")
        if not 0 < fraction <= 1:
            raise ValueError(f"data.fraction is {fraction}; give more than 0 and at most 1")
        if not 0 <= repeat_threshold <= 1:
            raise ValueError(f"data.repeat_threshold is {repeat_threshold}; give a share, 0 (off) to 1")
        if fold_seed < 0:
            raise ValueError(f"data.fold_seed is {fold_seed}; give 0 or more")
        self.fold, self.folds, self.val_fraction = fold, folds, val_fraction
        self.fold_group = None if fold_group is None else _compile(fold_group)
        self.fold_seed, self.fraction, self.class_map = fold_seed, fraction, class_map
        self.repeat_threshold = repeat_threshold
        if fold_group is not None and folds is None and val_fraction is None:
            raise ValueError(
                f"data.fold_group={fold_group} keeps pictures in one part, but there are no parts: give data.fold and "
                "data.folds, or data.val_fraction"
            )

    def read(self, sources: list[Splits]) -> Selected:
        """Reads and checks the annotations of each data set, and selects; raises what these two raise."""
        return self.choose(sources, read_annotations)

    def alone(self, sources: list[Splits]) -> Split | None:
        """The validation file, if what validates depends on no other: parts of a training file and a mixture do."""
        return None if self.divides or len(sources) > 1 else sources[0].val

    def read_alone(self, val: Split) -> CocoAnnotations:
        """Reads and checks the validation part of `alone`; raises what `read_annotations` and `map_classes` raise."""
        annotations = read_annotations(val)
        return annotations if self.class_map is None else map_classes(annotations, self.class_map)

    def choose(self, sources: list[Splits], read: Callable[[Split], CocoAnnotations]) -> Selected:
        """Selects.

        Args:
            sources: where the parts lie, of each data set; read: gives the annotations of a part.

        Raises:
            ValueError: nothing to learn from or to validate on; parts that differ in classes.
        """
        self.check(sources)
        notes: list[str] = []
        learning: list[str] = []
        trains: dict[str, CocoAnnotations] = {}
        vals: dict[str, CocoAnnotations] = {}
        for source in sources:
            trains[source.name], val = self._split(source, read, notes)
            if val is not None:
                vals[source.name] = val
        classes, ids = join_classes(list(trains.values()))
        weights = np.repeat([source.weight for source in sources], [len(part.records) for part in trains.values()])
        if len(sources) > 1:
            for one in sources:
                lacking = _lacking(trains[one.name], self.class_map or {name: [name] for name in classes})
                learning.append(f"{one.name}: {len(trains[one.name].records)} pictures x {one.weight:g}{lacking}")
        train, val = join(trains, classes, ids), join(vals, classes, ids)
        if self.class_map is not None:
            before = [train, val]
            train, val = (map_classes(part, self.class_map) for part in before)
            notes.append(f"classes {few_names(train.classes)}{_left_out(before, self.class_map)}")
        if self.fraction < 1:
            order = np.random.default_rng([self.fold_seed, 1]).permutation(len(train.records))
            kept = np.sort(order[: max(int(len(order) * self.fraction + 0.5), 1)])
            learning.append(f"data.fraction={self.fraction}: {len(kept)} of {len(order)} training pictures")
            train, weights = _choose(train, kept), weights[kept]
        census = take_census(train.records)
        if not len(census.labels):
            after = f" after {'; '.join(notes + learning)}" if notes + learning else ""
            raise ValueError(
                f"{train.file} has no usable annotation of a single object{after}: there is nothing to learn; "
                f"{TO_LEARN}"
            )
        repeats = repeat_factors(census, self.repeat_threshold)
        if self.repeat_threshold > 0:
            learning.append(f"repeat factors {repeats.min():.2f} to {repeats.max():.2f}")
        return Selected(train, val, census, weights * repeats, notes, learning)

    @property
    def divides(self) -> bool:
        """Whether the training files are divided into what is learnt and what validates."""
        return self.folds is not None or self.val_fraction is not None

    def used(self, sources: list[Splits]) -> list[Splits]:
        """The sources without what this selection leaves aside: with folds, the validation files."""
        return sources if self.folds is None else [source._replace(val=None) for source in sources]

    def check(self, sources: list[Splits]) -> None:
        """Makes sure, without reading anything, that it is clear what to validate on.

        Raises:
            ValueError: it is not, or two choices contradict each other.
        """
        present = [source.val.annotations for source in sources if source.val is not None]
        if self.val_fraction is not None and present:
            raise ValueError(
                f"data.val_fraction={self.val_fraction} takes the validation pictures from the training file, but "
                f"there is a validation file, {present[0]}: set data.val_fraction=null, or val_images and "
                "val_annotations of its source to null; data.fold=0 data.folds=5 leaves that file aside"
            )
        if self.val_fraction is None and self.folds is None and not present:
            raise ValueError(
                "there is nothing to validate on: give data.source.val_images and data.source.val_annotations, or take "
                "a part of the training pictures by data.val_fraction=0.2, or by data.fold=0 data.folds=5"
            )

    def _split(
        self, source: Splits, read: Callable[[Split], CocoAnnotations], notes: list[str]
    ) -> tuple[CocoAnnotations, CocoAnnotations | None]:
        """The training and validation part of a data set."""
        train = read(source.train)
        if not self.divides:
            val = None if source.val is None else read(source.val)
            if val is not None and train.classes != val.classes:
                raise ValueError(_difference(train, val))
            return train, val
        size = len(train.records)
        assert isinstance(train.records, Records)
        # Without an expression too: a file may be listed under two ids, and must not be learnt and validated.
        groups = find_groups(train.records.names(), self.fold_group or re.compile("(.*)", re.DOTALL))
        if self.folds is not None:
            shares, chosen = [1 / self.folds] * self.folds, self.fold
            key, what = f"data.folds={self.folds}", f"fold {self.fold} of {self.folds}"
        else:
            assert self.val_fraction is not None
            shares, chosen = [self.val_fraction, 1 - self.val_fraction], 0
            key = what = f"data.val_fraction={self.val_fraction}"
        parts = stratify(take_census(train.records), groups, shares, self.fold_seed)
        if len(np.unique(parts)) < len(shares):
            raise ValueError(
                f"{key} leaves a part without any picture: {train.file} has {size} pictures in {groups.max() + 1} "
                "groups that stay together. Make fewer or larger parts, or smaller groups by data.fold_group"
            )
        held = np.flatnonzero(parts == chosen)
        unused = "" if source.val is None else f", {source.val.annotations} is not used"
        whose = f"{source.name}: " if source.name else ""
        notes.append(
            f"{whose}{what} of {train.file.name}: {size - len(held)} pictures to learn, {len(held)} to validate{unused}"
        )
        return _choose(train, np.flatnonzero(parts != chosen)), _choose(train, held)


def _lacking(annotations: CocoAnnotations, wanted: ClassMap) -> str:
    """Says which classes of a mixture one of its data sets does not name."""
    lacking = [new for new, names in wanted.items() if not {*names} & {*annotations.classes}]
    return f" (its file lacks {few(lacking, 5)}: such objects count as background)" if lacking else ""


def _compile(expression: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise ValueError(f"data.fold_group={expression} is not a regular expression: {error}") from error
    if not pattern.groups:
        raise ValueError(f"data.fold_group={expression} captures nothing; put what a group shares in parentheses")
    return pattern


def _choose(annotations: CocoAnnotations, indices: np.ndarray) -> CocoAnnotations:
    records = Chosen(annotations.records, indices)
    return CocoAnnotations(annotations.file, annotations.classes, annotations.category_ids, records)


def _left_out(parts: list[CocoAnnotations], class_map: ClassMap) -> str:
    """How many objects of which classes a map leaves out of the training and validation part."""
    classes = parts[0].classes
    listed = {name for names in class_map.values() for name in names}
    counts = [np.bincount(take_census(part.records).labels, minlength=len(classes)) for part in parts]
    missing = sorted((i for i, name in enumerate(classes) if name not in listed), key=lambda i: -int(counts[0][i]))
    if not missing:
        return ""
    train, val = (int(count[missing].sum()) for count in counts)
    most = few([f"{classes[i]} {counts[0][i]}" for i in missing], 5)
    return f" ({train} training and {val} validation objects of {len(missing)} others left out; in training {most})"


def _difference(train: CocoAnnotations, val: CocoAnnotations) -> str:
    """What differs in the classes of the two parts, and what to do."""
    facts = [
        f"{one.file} lacks {few_names(sorted(set(other.classes) - set(one.classes)))}"
        for one, other in ((train, val), (val, train))
        if set(other.classes) - set(one.classes)
    ]
    if not facts:
        orders = unlike_names(train.classes, val.classes)
        facts = [f"{part.file} has the order {order}" for part, order in zip((train, val), orders)]
    return (
        f"training and validation differ in their classes: {'; '.join(facts)}. "
        "Write the same 'categories' with the same ids into both files"
    )
