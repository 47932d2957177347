"""Parts that are frozen for some epochs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.run_files import checkpoint

Fit = Callable[..., dict[str, float]]
EACH_STEP = (
    "+callbacks.each={_target_: pytorch_lightning.callbacks.ModelCheckpoint, every_n_train_steps: 1, save_top_k: -1, "
    "dirpath: '${run_dir}/checkpoints', filename: '{step}', auto_insert_metric_name: false}",
    "trainer.limit_val_batches=0", "callbacks.best=null", "callbacks.mean_ap=null", "callbacks.pictures=null",
    "logger=csv",
)  # fmt: skip


def state(folder: Path, step: int) -> dict[str, Any]:
    return checkpoint.read(folder / "checkpoints" / f"{step}.ckpt")


def moved(folder: Path, first: int, last: int) -> set[str]:
    """The weights and statistics that differ between two steps."""
    one, other = (state(folder, step)["state_dict"] for step in (first, last))
    return {name.removeprefix("model.") for name in one if not torch.equal(one[name], other[name])}


def test_parts_are_still_until_their_epoch_and_a_resumed_run_has_the_same_bits(fit: Fit, tmp_path: Path) -> None:
    # Two steps an epoch. The backbone learns from the second epoch on, its layer2 from the third.
    until = "callbacks.freeze.until={backbone: 1, backbone.layer2: 2}"
    options = ("trainer.max_epochs=3", "trainer.limit_train_batches=2", "model.backbone.frozen_stages=1", until)
    fit(tmp_path / "whole", *options, *EACH_STEP)
    early, middle, late = (moved(tmp_path / "whole", step, step + 1) for step in (1, 3, 5))
    assert early and not any(name.startswith("backbone.") for name in early)
    layers = {name.split(".")[1] for name in middle if name.startswith("backbone.")}
    # The stem's weights stay; its batch-norm statistics, outside `frozen_stages`' reach, do not.
    assert layers == {"layer3", "layer4", "conv1", "bn1"} and not any("conv1.0.weight" in name for name in middle)
    assert "backbone.layer2.0.bn1.running_mean" in late and "backbone.layer2.0.conv1.weight" in late
    ending = state(tmp_path / "whole", 6)
    for step in (2, 3):  # at the end of the first epoch, within the second
        part = tmp_path / f"from_{step}"
        (part / "checkpoints").mkdir(parents=True)
        (part / "checkpoints" / "last.ckpt").write_bytes(
            (tmp_path / "whole" / "checkpoints" / f"{step}.ckpt").read_bytes()
        )
        fit(part, *options, *EACH_STEP, f"resume={part}")
        resumed = state(part, 6)
        assert all(torch.equal(ending["state_dict"][key], value) for key, value in resumed["state_dict"].items())
        assert flat(resumed["optimizer_states"]) == flat(ending["optimizer_states"])


def flat(value: Any) -> Any:
    """Nested containers with tensors as lists, which can be compared."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: flat(child) for key, child in value.items()}
    return [flat(child) for child in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("{bakbone: 1}", "no part 'bakbone'; there are backbone, neck, rpn, box_head, mask_head"),
        ("{backbone.layer9: 1}", r"no part 'backbone.layer9'; there are backbone.conv1, backbone.bn1, backbone.layer2"),
        ("{neck: -1}", r"callbacks\.freeze\.until\.neck is -1; give a number of epochs, 0 or more"),
        ("{backbone: 1, neck: 1, rpn: 1, box_head: 2, mask_head: 1}", "nothing is left to learn in the first epoch"),
    ],
)
def test_parts_that_cannot_be_frozen_are_refused(until: str, message: str, fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", f"callbacks.freeze.until={until}")
