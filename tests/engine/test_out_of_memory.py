"""Planted errors of memory, forward and backward: what is said of them, and what is learnt in parts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from maskrcnn.data.annotations import CocoAnnotations
from maskrcnn.data.collate import Collate
from maskrcnn.data.crop import RandomCrop
from maskrcnn.data.jitter import LargeScaleJitter
from maskrcnn.data.records import Annotations, Picture, Records, write_records
from maskrcnn.data.resize import Resize
from maskrcnn.data.views import Chosen, Joined, Relabelled
from maskrcnn.data.window import Windowed
from maskrcnn.engine.out_of_memory import largest_batch
from maskrcnn.engine.splitting import check_splittable, halve
from maskrcnn.run_files import checkpoint
from maskrcnn.structures import Batch
from tests.engine.test_ranks import SPLITTABLE, farthest, state

Fit = Callable[..., dict[str, float]]
SHORT = ["trainer.max_epochs=1", "trainer.limit_val_batches=0", "callbacks.best=null", "logger=csv"]
SMALL = [*SHORT, *SPLITTABLE, "data.resize.shortest=[96]", "data.resize.longest=128", "data.canvases=[[96,128]]"]


class Memory(pl.Callback):
    """Has no memory for a forward or a backward pass of more than some pictures, and keeps what it sees.

    Attributes:
        seen: shapes of the batches that were learnt from, or tried; gradients: before the first optimiser step.
    """

    def __init__(self, most: int, where: Literal["forward", "backward"]) -> None:
        self.most, self.where = most, where
        self.seen: list[tuple[int, ...]] = []
        self.gradients: dict[str, Tensor] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        model: Any = pl_module.model
        model.register_forward_pre_hook(self._begin)
        model.neck.register_forward_hook(self._middle)

    def _begin(self, model: nn.Module, arguments: tuple[Batch]) -> None:
        images = arguments[0].images
        self.seen.append((*images.shape, arguments[0].targets.valid.shape[1]))
        if self.where == "forward" and len(images) > self.most:
            raise torch.OutOfMemoryError("planted")

    def _middle(self, neck: nn.Module, arguments: object, levels: tuple[Tensor, ...]) -> None:
        def fail(gradient: Tensor) -> None:
            raise torch.OutOfMemoryError("planted")

        if self.where == "backward" and levels[0].requires_grad and len(levels[0]) > self.most:
            levels[0].register_hook(fail)  # when the heads have their gradients

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Noise, as even colours make the gradient of the first layer a small difference of large numbers.
        for one in batch.window if isinstance(batch, Windowed) else [batch]:
            for image, key in zip(one.images, one.keys.tolist()):
                image.random_(generator=torch.Generator().manual_seed(key))

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: object) -> None:
        if not self.gradients:
            model: Any = pl_module.model
            self.gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def whole(fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Memory]:
    """Four steps of four pictures, all of which fit."""
    folder, memory = tmp_path_factory.mktemp("whole"), Memory(4, "forward")
    fit(folder, *SMALL, callback=memory)
    return folder, memory


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize(
    "batches", [[], ["data.batch_size=2", "trainer.accumulate_grad_batches=2", "accumulation.exact=true"]]
)
def test_a_split_batch_gives_the_gradients_of_the_whole(
    where: Literal["forward", "backward"],
    batches: list[str],
    whole: tuple[Path, Memory],
    fit: Fit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    memory = Memory(1, where)
    fit(tmp_path, *SMALL, *batches, "out_of_memory.action=split", callback=memory)
    assert max(value.abs().max().item() for value in memory.gradients.values()) > 0.1
    assert memory.gradients.keys() == whole[1].gradients.keys()
    for name, gradient in whole[1].gradients.items():  # of 1e-4 to 10, so relative
        assert (memory.gradients[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
    assert farthest(state(whole[0]), state(tmp_path)) < 1e-5  # after all four steps
    told = "2 pictures did not fit into memory and was learnt in 2" if batches else "4 pictures did not fit"
    assert capsys.readouterr().out.count(f"a batch of {told}") == 1


def test_what_fits_has_the_bits_of_a_run_that_would_stop(whole: tuple[Path, Memory], fit: Fit, tmp_path: Path) -> None:
    fit(tmp_path, *SMALL, "out_of_memory.action=split", callback=Memory(4, "backward"))
    assert farthest(state(whole[0]), state(tmp_path)) == 0


def test_a_trial_changes_no_bit(fit: Fit, tmp_path: Path) -> None:
    memory = Memory(4, "forward")
    fit(tmp_path / "without", *SHORT, callback=Memory(4, "forward"))
    fit(tmp_path / "with", *SHORT, "out_of_memory.try_first=always", callback=memory)
    assert memory.seen[0] == (4, 3, 256, 256, 16)  # the largest canvas, the most slots
    assert len(memory.seen) == 5 and set(memory.seen[1:]) == {(4, 3, 192, 256, 8)}
    kept = [checkpoint.read(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("without", "with")]
    assert any("running_mean" in name for name in kept[0]["state_dict"])  # statistics were at stake
    assert farthest(kept[0]["state_dict"], kept[1]["state_dict"]) == 0
    for a, b in zip(*(one["optimizer_states"][0]["state"].values() for one in kept), strict=True):
        assert farthest(a, b) == 0


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_run_stops_with_numbers_and_what_to_set(
    where: Literal["forward", "backward"], fit: Fit, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as stopped:
        fit(tmp_path, *SHORT, callback=Memory(3, where))
    assert str(stopped.value) == (
        "out of memory with 4 pictures of 3 x 192 x 256 with 8 object slots: give data.batch_size=2 "
        "trainer.accumulate_grad_batches=2 (as many pictures a step), out_of_memory.action=split, a smaller "
        "data.resize and data.canvases or trainer.precision=bf16-mixed"
    )


def test_the_trial_finds_it_before_the_first_step(fit: Fit, tmp_path: Path) -> None:
    memory = Memory(2, "backward")
    with pytest.raises(ValueError) as stopped:
        fit(tmp_path, *SHORT, "out_of_memory.try_first=always", "data.batch_size=3", callback=memory)
    assert "3 pictures of 3 x 256 x 256 with 16 object slots, the largest batch that" in str(stopped.value)
    assert "give data.batch_size=1 trainer.accumulate_grad_batches=3 (" in str(stopped.value)
    assert len(memory.seen) == 1 and not memory.gradients


def test_a_trial_in_parts_lets_the_run_go_on(
    whole: tuple[Path, Memory], fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forced = ["out_of_memory.action=split", "out_of_memory.try_first=always"]
    fit(tmp_path, *SMALL, *forced, callback=Memory(2, "backward"))
    assert capsys.readouterr().out.count("was learnt in 2 parts") == 1
    assert farthest(state(whole[0]), state(tmp_path)) < 1e-5


def test_a_picture_that_does_not_fit_ends_a_splitting_run(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as stopped:
        fit(tmp_path, *SMALL, "out_of_memory.action=split", callback=Memory(0, "backward"))
    assert str(stopped.value).endswith(": give a smaller data.resize and data.canvases or trainer.precision=bf16-mixed")


def test_splitting_refuses_batch_norm_and_ranks(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^out_of_memory.action=split, but model.backbone.* is a batch norm"):
        fit(tmp_path, "out_of_memory.action=split")
    with pytest.raises(ValueError, match="^out_of_memory.action=split is for one rank, and there are 2: give"):
        check_splittable(nn.Identity(), 2)


def test_the_largest_batch_of_a_data_set_without_canvases(tmp_path: Path) -> None:
    sizes = [(100, 200), (900, 300), (300, 150), (50, 40)]
    none = np.zeros(0, np.int64)
    empty = Annotations(none, none, none > 0, np.zeros((0, 4)), np.zeros(0), [])
    write_records(tmp_path / "records", [Picture(i, "", *size) for i, size in enumerate(sizes)], empty, {})
    records = Records(tmp_path / "records", tmp_path)
    chosen = Relabelled(Chosen(records, np.array([0, 2])), np.zeros(0, np.int64))  # without the highest
    data: Any = SimpleNamespace(
        batch_size=2,
        collate=Collate([], [4, 10]),
        read=SimpleNamespace(channels=5),
        classes=("a", "b"),
        resize=Resize(shortest=[200, 100], longest=300),
        train_annotations=CocoAnnotations(tmp_path, ("a", "b"), (1, 2), Joined({"": chosen})),
    )
    batch = largest_batch(data)  # 150 x 300 and 300 x 150 come together
    assert batch.images.shape == (2, 5, 320, 320)
    assert batch.targets.valid.all() and batch.targets.valid.shape == (2, 10)
    widths = (batch.targets.boxes[..., 2:] - batch.targets.boxes[..., :2]).flatten()
    assert widths.min() >= 0.05 * 320 and batch.targets.boxes.min() >= 0 and batch.targets.boxes.max() <= 320
    data.batch_size = 1
    assert largest_batch(data).images.shape == (1, 5, 160, 320)
    data.train_annotations = CocoAnnotations(tmp_path, ("a", "b"), (1, 2), records)
    data.batch_size, data.resize = 2, LargeScaleJitter(shortest=[128], longest=256, scales=(0.1, 2.0))
    assert largest_batch(data).images.shape == (2, 5, 256, 256)
    # Of canvases, the one that training can need: crops leave the larger ones to validation.
    data.collate = Collate([(64, 96), (96, 96), (512, 512)], [4])
    data.resize = RandomCrop(shortest=[512], longest=512, crop=(64, 96), scales=(1.0, 1.0))
    assert largest_batch(data).images.shape == (2, 5, 96, 96)
    data.resize = Resize(shortest=[512], longest=512)
    assert largest_batch(data).images.shape == (2, 5, 512, 512)


@pytest.mark.parametrize(
    "resize",
    [
        Resize(shortest=[64, 96, 80], longest=120),
        LargeScaleJitter(shortest=[64], longest=96, scales=(1.5, 2.0)),
        RandomCrop(shortest=[64], longest=120, crop=(40, 30), scales=(1.0, 2.0)),
    ],
)
def test_no_view_is_larger_than_the_largest(resize: Any) -> None:
    draw = np.random.default_rng(0)
    for height, width in [(50, 70), (90, 30), (64, 64)]:
        sizes = [resize.view(height, width, draw).size for _ in range(50)]
        assert (max(h for h, _ in sizes), max(w for _, w in sizes)) == resize.largest(height, width)


def test_halves_are_the_batch(tmp_path: Path) -> None:
    none = np.zeros(0, np.int64)
    write_records(
        tmp_path / "records",
        [Picture(0, "", 32, 64)],
        Annotations(none, none, none > 0, np.zeros((0, 4)), np.zeros(0), []),
        {},
    )
    data: Any = SimpleNamespace(
        batch_size=3,
        collate=Collate([(32, 64)], [2]),
        read=SimpleNamespace(channels=1),
        classes=("a",),
        resize=Resize(shortest=[32], longest=64),
        train_annotations=CocoAnnotations(tmp_path, ("a",), (1,), Records(tmp_path / "records", tmp_path)),
    )
    batch = largest_batch(data)
    halves = halve(batch)
    assert [len(half.keys) for half in halves] == [2, 1] and [len(half.keys) for half in halve(halves[1])] == [1]
    flat = [cast(list[Tensor], [*one[:5], *one.targets]) for one in (batch, *halves)]
    for whole, *parts in zip(*flat, strict=True):
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)
