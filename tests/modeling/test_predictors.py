"""The predictors' rows of a file for other classes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.predictors import fit_predictors
from maskrcnn.modeling.weights import load_weights

THREE = "box_head.deltas, box_head.logits, mask_head.logits"


def biases(classes: int, first: float, agnostic: bool = False) -> dict[str, Tensor]:
    """Of each predictor, numbers that tell its rows apart."""
    shared = 1 if agnostic else classes
    return {
        "box_head.logits.bias": first + torch.arange(classes + 1.0),
        "box_head.deltas.bias": first + torch.arange(4.0 * shared),
        "mask_head.logits.bias": first + torch.arange(1.0 * shared),
    }


# Of each class the row in a file for a, b, c, d; None for one that it does not know.
@pytest.mark.parametrize(
    "ours, rows, said",
    [
        ("bacd", [1, 0, 2, 3], f"{THREE} keep the rows of b, a, c, d: the file is for a, b, c, d"),
        ("xca", [None, 2, 0], f"{THREE} keep the rows of c, a; those of x start anew: the file is for a, b, c, d"),
        ("dx", [3, None], f"{THREE} keep the rows of d; those of x start anew: the file is for a, b, c, d"),
        (
            "auvwxyz",
            [0, *[None] * 6],
            f"{THREE} keep the rows of a; those of u, v, w, x, y, ... start anew: the file is for a, b, c, d",
        ),
    ],
)
def test_classes_of_the_same_name_keep_their_rows(ours: str, rows: list[int | None], said: str) -> None:
    own = biases(len(ours), -100)
    fitted, told = fit_predictors({**biases(4, 0), "rpn.x": torch.ones(1)}, own, [*"abcd"], [*ours])
    assert told == [said]
    wanted = [-100 + label if row is None else row for label, row in enumerate(rows)]
    assert fitted["box_head.logits.bias"].tolist() == [*wanted, 4]  # the background's comes along
    assert fitted["mask_head.logits.bias"].tolist() == wanted
    deltas = [-100 + 4 * label if row is None else 4 * row for label, row in enumerate(rows)]
    assert fitted["box_head.deltas.bias"].tolist() == [start + i for start in deltas for i in range(4)]
    assert fitted["rpn.x"].tolist() == [1]
    assert own["mask_head.logits.bias"].tolist() == biases(len(ours), -100)["mask_head.logits.bias"].tolist()


@pytest.mark.parametrize(
    "theirs, ours, said",
    [
        ("abcd", "wxyz", f"{THREE} start anew: the file is for the classes a, b, c, d"),
        ("abcd", "wxy", f"{THREE} start anew: the file is for the classes a, b, c, d"),
        ("", "wxy", f"{THREE} start anew: the file is for another number of classes"),
    ],
)
def test_where_no_class_is_known_all_start_anew(theirs: str, ours: str, said: str) -> None:
    fitted, told = fit_predictors(biases(4, 0), biases(len(ours), -100), [*theirs], [*ours])
    assert fitted == {} and told == [said]


@pytest.mark.parametrize("theirs", ["abcd", ""])
def test_the_same_classes_and_unnamed_ones_stay(theirs: str) -> None:
    found = biases(4, 0)
    fitted, told = fit_predictors(found, biases(4, -100), [*theirs], [*"abcd"])
    assert fitted == found and told == []


def test_what_all_classes_share_stays() -> None:
    found = biases(4, 0, agnostic=True)
    fitted, told = fit_predictors(found, biases(2, -100, agnostic=True), [*"abcd"], [*"bx"])
    assert fitted.pop("box_head.logits.bias").tolist() == [1, -99, 4]
    assert fitted == {key: found[key] for key in ("box_head.deltas.bias", "mask_head.logits.bias")}
    assert told == ["box_head.logits keep the rows of b; those of x start anew: the file is for a, b, c, d"]


def test_what_only_one_side_shares_starts_anew() -> None:
    for sides in ((True, False), (False, True)):
        found, own = (biases(4, first, agnostic) for first, agnostic in zip((0, -100), sides))
        fitted, told = fit_predictors(found, own, [*"abcd"], [*"abcd"])
        assert list(fitted) == ["box_head.logits.bias"]
        assert told == [
            f"{head}.{name} starts anew: model.{head}.class_agnostic is otherwise in the file"
            for head, name in (("box_head", "deltas"), ("mask_head", "logits"))
        ]


def test_a_checkpoint_for_other_classes_gives_what_they_share(
    build_model: Callable[..., MaskRCNN], tmp_path: Path
) -> None:
    apart = [f"model.{head}.class_agnostic=false" for head in ("box_head", "mask_head")]
    theirs, model = build_model(*apart, seed=0), build_model(*apart, seed=1)
    state = {f"model.{name}": value for name, value in theirs.state_dict().items()}
    torch.save({"maskrcnn": {"classes": ("a", "b", "c", "d")}, "state_dict": state}, tmp_path / "own.ckpt")
    notes = load_weights(model, str(tmp_path / "own.ckpt"), {name: i for i, name in enumerate("dcba", 1)})
    assert notes[1:] == [f"{THREE} keep the rows of d, c, b, a: the file is for a, b, c, d"]
    assert torch.equal(model.box_head.logits.weight, theirs.box_head.logits.weight[[3, 2, 1, 0, 4]])
    assert torch.equal(model.mask_head.logits.weight, theirs.mask_head.logits.weight[[3, 2, 1, 0]])
    deltas = theirs.box_head.deltas.weight.unflatten(0, (4, 4)).flip(0).flatten(0, 1)
    assert torch.equal(model.box_head.deltas.weight, deltas)
    assert torch.equal(model.rpn.deltas.weight, theirs.rpn.deltas.weight)
