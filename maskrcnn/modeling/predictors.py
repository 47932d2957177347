"""The predictors' rows: which of a file's serve a model of other classes."""

from collections.abc import Sequence

from torch import Tensor

# How many rows each has for a class; the logits have one for the background after them.
_ROWS = {"box_head.logits": 1, "box_head.deltas": 4, "mask_head.logits": 1}
_BACKGROUND = "\0"  # which no class is called
_NAMED = 5  # classes in a sentence


def fit_predictors(
    found: dict[str, Tensor], own: dict[str, Tensor], theirs: list[str], ours: list[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Weights whose predictors are for the data's classes.

    A class that the file names too keeps its rows, wherever they stand there. Others start anew, and so do all where
    the file names none and has another number of them. What all classes share stays.

    Args:
        found: the file's weights under our keys; own: the model's state, not changed.
        theirs: the file's classes by label, empty where it does not say; ours: the data's.

    Returns:
        The weights, without predictors of which no row is kept, and what to tell the user.
    """
    kept = [name for name in ours if name in theirs]
    fitted = dict(found)
    by_name: set[str] = set()
    anew: set[str] = set()
    shared: set[str] = set()  # by all classes on one side only
    for key in found.keys() & own.keys():
        name, _, _ = key.rpartition(".")
        if name not in _ROWS:
            continue
        background = [_BACKGROUND] if name == "box_head.logits" else []
        sides = (found[key], [*theirs, *background]), (own[key], [*ours, *background])
        of_classes = all(len(tensor) == _ROWS[name] * len(classes) for tensor, classes in sides)
        if of_classes and theirs != ours and kept and found[key].shape[1:] == own[key].shape[1:]:
            fitted[key] = _rows(*sides[0], *sides[1])
            by_name.add(name)
        elif found[key].shape != own[key].shape or (of_classes and theirs != ours):
            del fitted[key]
            one_for_all = [len(tensor) == _ROWS[name] for tensor, _ in sides]
            (shared if any(one_for_all) and not all(one_for_all) else anew).add(name)
    told = []
    if by_name:
        new = [name for name in ours if name not in theirs]
        rest = f"; those of {_few(new)} start anew" if new else ""
        told.append(f"{', '.join(sorted(by_name))} keep the rows of {_few(kept)}{rest}: the file is for {_few(theirs)}")
    if anew:
        whose = f"the classes {_few(theirs)}" if theirs and theirs != ours else "another number of classes"
        told.append(f"{', '.join(sorted(anew))} start anew: the file is for {whose}")
    for name in sorted(shared):
        told.append(f"{name} starts anew: model.{name.partition('.')[0]}.class_agnostic is otherwise in the file")
    if not theirs and "box_head.logits.weight" in fitted.keys() & own.keys():
        told.append(f"the file does not name its classes: they are taken for {_few(ours)}, in this order")
    return fitted, told


def _rows(found: Tensor, theirs: list[str], own: Tensor, ours: list[str]) -> Tensor:
    """The model's rows, with the file's for classes that both name."""
    fitted = own.clone()
    for label, name in enumerate(ours):
        if name in theirs:
            fitted.unflatten(0, (len(ours), -1))[label] = found.unflatten(0, (len(theirs), -1))[theirs.index(name)]
    return fitted


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
