"""Which trials a sweep refuses."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.modeling.resnet import ResNet
from maskrcnn.sweep.choices import check_made, check_sweep

ONE_DEVICE = [{}, {"devices": 1}, {"devices": "1"}, {"devices": [3], "num_nodes": 1}]
SEVERAL = [{"devices": 2}, {"devices": "auto"}, {"devices": [0, 1]}, {"num_nodes": 2}]


def refusal(trainer: dict[str, Any]) -> str:
    try:
        check_sweep(trainer)
    except ValueError as error:
        return str(error)
    return ""


def test_a_sweep_on_several_devices_is_refused_and_no_other() -> None:
    assert [refusal(trainer) for trainer in ONE_DEVICE] == [""] * len(ONE_DEVICE)
    assert all("start each trial by a command of its own" in refusal(trainer) for trainer in SEVERAL)


def made(*choices: str, fixed: tuple[str, ...] = ()) -> None:
    """Makes the trials of a sweep over some choices."""
    check_made([([choice], to_plain(compose([*fixed, choice]))) for choice in choices])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (["seed=0", "seed=-1"], "seed=-1 cannot be: data: seed is -1; give 0 or more"),
        (
            ["model.backbone.layers=[1,1,1,1]", "model.backbone.layers=[1,1]"],
            "model.backbone.layers=[1,1] cannot be: model.backbone.layers is [1, 1]; give four numbers, of the blocks "
            "in each stage",
        ),
        (
            ["optimizer.algorithm.betas=[0.9,0.9]", "optimizer.algorithm.betas=[2,0.9]"],
            "optimizer.algorithm.betas=[2,0.9] cannot be: optimizer.algorithm: Invalid beta parameter at index 0: 2",
        ),
        (
            ["callbacks.freeze.until={neck:1}", "callbacks.freeze.until={nek:1}"],
            "callbacks.freeze.until={nek:1} cannot be: callbacks.freeze.until: the model has no part 'nek'; there are "
            "backbone, neck, rpn, box_head, mask_head",
        ),
        (
            ["trainer.precision=32-true", "trainer.precision=16-mixed"],
            "trainer.precision=16-mixed cannot be: trainer.precision=16-mixed needs a GPU: give trainer=gpu, or on a "
            "CPU 32-true or bf16-mixed",
        ),
        (["model.pixel_std=[1,1]"], "model.pixel_std=[1,1] cannot be: model.pixel_std has 2 values, but data.channels"),
    ],
)
def test_what_parts_refuse_as_they_are_made_is_said_of_the_trial(choices: list[str], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        made(*choices)
    assert str(refused.value).startswith(f"a trial with {message}")


PLUGIN = """
from maskrcnn.modeling.fpn import FPN

class Neck(FPN):
    def __init__(self, in_channels, in_strides, *, error: str, **free) -> None:
        super().__init__(in_channels, in_strides, **free)
        raise {"OSError": OSError, "RuntimeError": RuntimeError, "ValueError": ValueError}[error]("no")
"""


def test_a_part_of_ones_own_that_needs_what_is_not_there_yet_is_left_to_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_channels.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    fixed = ("plugins=[of_channels]", "model.neck._target_=of_channels.Neck")
    made("+model.neck.error=OSError", "+model.neck.error=RuntimeError", fixed=fixed)
    with pytest.raises(ValueError, match=r"^a trial with \+model.neck.error=ValueError cannot be: no$"):
        made("+model.neck.error=RuntimeError", "+model.neck.error=ValueError", fixed=fixed)


def test_a_model_is_made_once_for_trials_that_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []
    plain = ResNet.__init__

    def counted(self: nn.Module, channels: int, *, width: int, **others: Any) -> None:
        widths.append(width)
        plain(self, channels, width=width, **others)

    monkeypatch.setattr(ResNet, "__init__", counted)
    made("seed=0", "seed=1", "model.backbone.width=12", "optimizer.lr=0.1", "optimizer.lr=0.2")
    assert widths == [32, 12, 32]
