import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.resize import Resize
from maskrcnn.data.shapes import ShapesSource
from maskrcnn.data.source import CocoSource, Split
from maskrcnn.structures import Batch


def module(root: Path, source: Any, **changes: Any) -> CocoDataModule:
    choices: dict[str, Any] = {
        "root": str(root),
        "source": source,
        "channels": 3,
        "max_value": 65535,
        "resize": Resize(shortest=[96, 128], longest=256),
        "transforms": [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(rotate=(-20, 20), p=0.5),
            albumentations.ColorJitter(p=0.5),
        ],
        "seed": 11,
        "shuffle": True,
        "batch_size": 4,
        "val_batch_size": 3,
        "workers": 0,
        "canvases": [(128, 192)],
        "object_slots": [8],
        "fold": None,
        "folds": None,
        "val_fraction": None,
        "fold_group": None,
        "fold_seed": 0,
        "fraction": 1.0,
        "class_map": None,
        "repeat_threshold": 0.0,
        "group_by_aspect": False,
    }
    return CocoDataModule(**{**choices, **changes})


@pytest.fixture
def ready(shapes_root: Path, shapes_source: ShapesSource) -> Callable[..., CocoDataModule]:
    def make(**changes: Any) -> CocoDataModule:
        data = module(shapes_root, shapes_source, **changes)
        data.prepare_data()
        data.setup()
        return data

    return make


def epoch_of(data: CocoDataModule, epoch: int) -> list[Batch]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # as Lightning does
    return list(loader)


def flat(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for part in value:
            yield from flat(part)


def equal(a: Any, b: Any) -> bool:
    pairs = list(zip(flat(a), flat(b), strict=True))
    return all(torch.equal(x, y) for x, y in pairs)


def test_bits_do_not_depend_on_workers(ready: Callable[..., CocoDataModule]) -> None:
    alone = [epoch_of(ready(), epoch) for epoch in (0, 1)]
    assert [len(epoch) for epoch in alone] == [10, 10]
    assert not equal(*alone)
    for workers in (1, 2):
        assert equal(epoch_of(ready(workers=workers), 1), alone[1])


def test_bits_depend_on_seed_and_epoch(ready: Callable[..., CocoDataModule]) -> None:
    def by_index(batches: list[Batch]) -> dict[int, Tensor]:
        return {
            int(index): image for batch in batches for index, image in zip(batch.indices, batch.images, strict=True)
        }

    first, second, other = (
        by_index(epoch_of(ready(), 0)),
        by_index(epoch_of(ready(), 1)),
        by_index(epoch_of(ready(seed=1), 0)),
    )
    assert first.keys() == second.keys() == other.keys() == set(range(40))
    # A picture is drawn from many: a size, a flip, an angle, a light. Few may be the same by chance.
    for images in (second, other):
        assert sum(torch.equal(first[index], images[index]) for index in first) < 8


def test_validation_is_complete_and_fixed(ready: Callable[..., CocoDataModule]) -> None:
    data = ready()
    batches, again = list(data.val_dataloader()), list(data.test_dataloader())
    assert equal(batches, again)
    assert [batch.indices.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert torch.cat([batch.image_sizes for batch in batches]).tolist() == [[128, 171]] * 10
    assert equal(batches, list(ready(seed=12).val_dataloader())) is False  # other keys
    assert all(torch.equal(a.images, b.images) for a, b in zip(batches, ready(seed=12).val_dataloader(), strict=True))


def test_targets_are_the_annotations(ready: Callable[..., CocoDataModule], shapes_root: Path) -> None:
    """From the JSON file to boxes and labels, by another way than ours."""
    dataset = json.loads((shapes_root / "val.json").read_text())
    (batch,) = ready(val_batch_size=10).val_dataloader()
    for i, image in enumerate(dataset["images"]):
        objects = [a for a in dataset["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
        valid = batch.targets.valid[i]
        assert batch.targets.labels[i, valid].tolist() == [a["category_id"] - 1 for a in objects]
        boxes = np.array([a["bbox"] for a in objects]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scale = np.array([171 / 256, 128 / 192] * 2)
        np.testing.assert_allclose(batch.targets.boxes[i, valid].numpy(), boxes * scale, rtol=1e-6)
        areas = batch.targets.masks[i, valid].float().mean(dim=(1, 2)).numpy() / 255
        sides = boxes[:, 2:] - boxes[:, :2]
        np.testing.assert_allclose(areas * sides[:, 0] * sides[:, 1], [a["area"] for a in objects], rtol=0.05)


def test_crowds_are_judged_but_not_learnt(ready: Callable[..., CocoDataModule]) -> None:
    data = ready(transforms=[], object_slots=[8, 16])
    crowded = [i for i, record in enumerate(data.train_annotations.records) if len(record.crowds.labels)]
    assert crowded == [4]
    record = data.train_annotations.records[4]
    batch = next(batch for batch in epoch_of(data, 0) if 4 in batch.indices)
    row = batch.indices.tolist().index(4)
    assert batch.targets.labels[row, batch.targets.valid[row]].tolist() == record.objects.labels.tolist()
    truth = data.train_annotations.ground_truth()["annotations"]
    assert [a["image_id"] for a in truth if a["iscrowd"]] == [4]


def test_unshuffled_training_repeats_itself(ready: Callable[..., CocoDataModule]) -> None:
    first, second = (epoch_of(ready(shuffle=False), epoch) for epoch in (0, 1))
    assert torch.cat([batch.indices for batch in first]).tolist() == list(range(40))
    assert equal(first, second)


@pytest.mark.parametrize("batch_size, sizes", [(16, [16, 16]), (40, [40]), (64, [40])])
def test_an_incomplete_batch_is_left_out_unless_it_is_the_only(
    ready: Callable[..., CocoDataModule], batch_size: int, sizes: list[int]
) -> None:
    data = ready(batch_size=batch_size)
    assert [len(batch.images) for batch in epoch_of(data, 0)] == sizes
    assert data.train_batches(1) == len(sizes)


def test_loading_leaves_the_global_generators_alone(ready: Callable[..., CocoDataModule]) -> None:
    data = ready()
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
    list(data.train_dataloader())
    list(data.val_dataloader())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index, union-attr]  # noqa: NPY002


class Recorder(pl.LightningModule):
    """Notes what it is trained on, and keeps a checkpoint after every step."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.folder = folder
        self.keys: list[list[int]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.keys.append(batch.keys.tolist())
        return self.weight * 1.0

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.folder is not None:
            self.trainer.save_checkpoint(self.folder / f"{self.trainer.global_step}.ckpt")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data: CocoDataModule, folder: Path | None, resume: Path | None, limit: float | int) -> list[list[int]]:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    recorder = Recorder(folder)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        limit_train_batches=limit,
        use_distributed_sampler=False,
    )
    trainer.fit(recorder, datamodule=data, ckpt_path=resume)
    return recorder.keys


@pytest.mark.parametrize(
    "workers, limit, steps", [(0, 1.0, [1, 2, 3, 4, 5]), (0, 2, [1, 2, 3]), (2, 1.0, [2, 3, 4])], ids=str
)
def test_a_resumed_run_sees_what_it_would_have_seen(
    ready: Callable[..., CocoDataModule], tmp_path: Path, workers: int, limit: float | int, steps: list[int]
) -> None:
    def data() -> CocoDataModule:
        return ready(workers=workers, transforms=[], batch_size=12)  # three batches, and four pictures left over

    whole = fit(data(), tmp_path, None, limit)
    assert len(whole) == (6 if limit == 1.0 else 4)
    for step in steps:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="You're resuming")  # "your dataloader is not resumable": it is
            assert fit(data(), None, tmp_path / f"{step}.ckpt", limit) == whole[step:]


def two_parts(write: Callable[[dict[str, Any]], Split], tmp_path: Path, train: Any, val: Any) -> CocoDataModule:
    write(train)
    (tmp_path / "val.json").write_text(json.dumps(val))
    source = CocoSource(
        train_images=".", train_annotations="annotations.json", val_images=".", val_annotations="val.json"
    )
    return module(tmp_path, source)


def test_parts_with_other_classes(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Split], tmp_path: Path
) -> None:
    other = json.loads(json.dumps(tiny))
    other["categories"][0]["name"] = "wolf"
    with pytest.raises(
        ValueError, match=r"annotations\.json lacks wolf; .*val\.json lacks dog\. Write the same 'categories'"
    ):
        two_parts(write, tmp_path, tiny, other).setup()
    other["categories"][0]["name"], other["categories"][1]["name"] = "cat", "dog"
    with pytest.raises(
        ValueError, match=r"annotations\.json has the order cat, dog; .*val\.json has the order dog, cat"
    ):
        two_parts(write, tmp_path, tiny, other).setup()


def test_nothing_to_learn(tiny: dict[str, Any], write: Callable[[dict[str, Any]], Split], tmp_path: Path) -> None:
    empty = {**tiny, "annotations": []}
    two_parts(write, tmp_path, tiny, empty).setup()  # a validation part may be without objects
    with pytest.raises(
        ValueError, match=r"annotations\.json has no usable annotation of a single object; there is nothing"
    ):
        two_parts(write, tmp_path, empty, tiny).setup()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
        ({"batch_size": 0}, r"data\.batch_size is 0, val_batch_size 3; give 1 or more"),
    ],
)
def test_unusable_choices_are_refused(shapes_root: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module(shapes_root, None, **changes)
