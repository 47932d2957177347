import json
import logging
import multiprocessing
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import albumentations
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from maskrcnn.data.copy_paste import CopyPaste
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.jitter import LargeScaleJitter
from maskrcnn.data.mixed import Member, MixedSource
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
        "stretch": None,
        "resize": Resize(shortest=[96, 128], longest=256),
        "transforms": [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(rotate=(-20, 20), p=0.5),
            albumentations.ColorJitter(p=0.5),
        ],
        "paste": None,
        "min_visible": 0.0,
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


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="needs Linux's signals")
def test_signals_are_left_to_the_main_process(ready: Callable[..., CocoDataModule]) -> None:
    batches = iter(ready(workers=1).train_dataloader())
    next(batches)
    (worker,) = multiprocessing.active_children()
    for name in ("INT", "INT", "TERM", "TERM", "USR1", "USR2", "HUP"):
        subprocess.run(["kill", f"-{name}", str(worker.pid)], check=True)
    assert len(list(batches)) == 9
    worker.terminate()  # by this process
    worker.join(60)
    assert worker.exitcode == 0


def test_what_is_pasted_does_not_depend_on_workers(ready: Callable[..., CocoDataModule]) -> None:
    changes: dict[str, Any] = {
        "resize": LargeScaleJitter(shortest=[96], longest=128, scales=(0.5, 2.0)),
        "paste": CopyPaste(most=10),
        "object_slots": [16],
    }
    alone = epoch_of(ready(**changes), 0)
    assert equal(epoch_of(ready(workers=2, **changes), 0), alone)
    plain = epoch_of(ready(**{**changes, "paste": None}), 0)
    assert sum(int(b.targets.valid.sum()) for b in alone) > sum(int(b.targets.valid.sum()) for b in plain)


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
    batches, again = list(data.val_dataloader()), list(data.val_dataloader())
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
        cells = batch.targets.mask_sizes[i, valid].prod(dim=1)
        areas = (batch.targets.masks[i, valid].float().sum(dim=(1, 2)) / 255 / cells).numpy()
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


def test_validation_alone_needs_no_training_file(
    ready: Callable[..., CocoDataModule], shapes_root: Path, tmp_path: Path
) -> None:
    for name in ("val", "val.json"):
        (tmp_path / name).symlink_to(shapes_root / name)
    source = CocoSource(
        train_images="train", train_annotations="train.json", val_images="val", val_annotations="val.json"
    )
    choices: dict[str, Any] = {"class_map": {"round": ["circle"], "edged": ["square", "star"]}}
    alone, whole = module(tmp_path, source, **choices), ready(**choices)
    alone.training = False
    for _ in range(2):  # as Lightning asks again
        alone.prepare_data()
        alone.setup("validate")
    assert alone.classes == whole.classes == ("round", "edged")
    assert alone.val_annotations.category_ids == whole.val_annotations.category_ids
    pairs = list(zip(alone.val_dataloader(), whole.val_dataloader(), strict=True))
    assert pairs and all(torch.equal(a, b) for one, other in pairs for a, b in zip(flat(one), flat(other)))
    with pytest.raises(FileNotFoundError, match=r"train: set data\.root or data\.source\.train_images"):
        module(tmp_path, source, **choices).prepare_data()
    parts = module(tmp_path, source, fold=0, folds=2)  # what validates is a part of the training file
    parts.training = False
    with pytest.raises(FileNotFoundError, match=r"train: set data\.root or data\.source\.train_images"):
        parts.prepare_data()


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
    assert data.train_batches(1, 1.0) == len(sizes)


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


EVERYTHING: dict[str, Any] = {
    "resize": Resize(shortest=[30, 40], longest=64),
    "canvases": [(64, 64)],
    "fold": 1,
    "folds": 3,
    "fraction": 0.9,
    "class_map": {"first": ["a", "d"], "second": ["c"]},
    "repeat_threshold": 0.6,
    "group_by_aspect": True,
}


@pytest.fixture
def selected(write_set: Callable[..., CocoSource], tmp_path: Path) -> Callable[..., CocoDataModule]:
    """Two mixed sets under every kind of selection: 33 of 54 pictures to learn, landscape and portrait."""
    rng = np.random.default_rng(0)
    members = {}
    for name, classes, weight in (("one", ["a", "b", "c"], 1.0), ("two", ["c", "d"], 1.5)):
        named = [list(rng.choice(classes, rng.integers(3))) for _ in range(27)]
        members[name] = Member(root=".", source=write_set(name, named), weight=weight)

    def make(**changes: Any) -> CocoDataModule:
        data = module(tmp_path, MixedSource(sources=members), **{**EVERYTHING, **changes})
        data.setup()
        return data

    return make


def test_a_selection_gives_the_same_bits_for_any_workers(selected: Callable[..., CocoDataModule]) -> None:
    data = selected()
    pictures = len(data.train_annotations.records)
    assert pictures == round(0.9 * 36)
    assert len(data.order) > 1.25 * pictures
    assert data.train_batches(1, 1.0) == len(data.order) // 4
    alone = [epoch_of(data, epoch) for epoch in (0, 1)]
    assert [len(epoch) for epoch in alone] == [len(data.order) // 4] * 2
    high = [(batch.original_sizes[:, 0] > batch.original_sizes[:, 1]).tolist() for batch in alone[1]]
    assert all(len(set(batch)) == 1 for batch in high[:-1])
    assert {batch[0] for batch in high} == {False, True}
    for workers in (1, 2):
        assert equal(epoch_of(selected(workers=workers), 1), alone[1])
    assert not equal(epoch_of(selected(seed=12), 1), alone[1])


@pytest.mark.parametrize(
    "workers, limit, steps", [(0, 1.0, [1, 5, 9, 10, 14]), (0, 3, [2, 3, 4]), (2, 1.0, [5])], ids=str
)
def test_a_resumed_run_with_a_selection(
    selected: Callable[..., CocoDataModule], tmp_path: Path, workers: int, limit: float | int, steps: list[int]
) -> None:
    whole = fit(selected(), tmp_path, None, limit)
    assert len(whole) == 2 * (selected().train_batches(1, 1.0) if limit == 1.0 else 3)
    assert len({key for batch in whole for key in batch}) == sum(map(len, whole))  # no sample comes twice
    for step in steps:
        assert fit(selected(workers=workers), None, tmp_path / f"{step}.ckpt", limit) == whole[step:]


def rank_of(data: CocoDataModule, rank: int, world_size: int) -> list[Batch]:
    """The batches of one of several processes in the third epoch."""
    progress = SimpleNamespace(total=SimpleNamespace(processed=2 * data.train_batches(world_size, 1.0)))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]  # what the data module asks of a trainer
        global_rank=rank,
        world_size=world_size,
        limit_train_batches=1.0,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
    )
    return list(data.train_dataloader())


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_share_the_batches_of_one_process(selected: Callable[..., CocoDataModule], world_size: int) -> None:
    whole = rank_of(selected(), 0, 1)
    ranks = [rank_of(selected(batch_size=4 // world_size), rank, world_size) for rank in range(world_size)]
    assert [len(batches) for batches in ranks] == [len(whole)] * world_size
    for batch, *shares in zip(whole, *ranks, strict=True):
        for i in range(4):
            one, part = i // world_size, shares[i % world_size]
            together, alone = ([tensor[k] for tensor in flat(b)] for b, k in ((batch, i), (part, one)))
            assert all(torch.equal(x, y) for x, y in zip(together, alone, strict=True))


def test_every_coming_of_a_picture_is_augmented_differently(selected: Callable[..., CocoDataModule]) -> None:
    data = selected(transforms=[albumentations.ColorJitter(p=1.0)], workers=2, resize=Resize(shortest=[40], longest=64))
    seen: dict[int, list[bytes]] = {}
    for batch in [*epoch_of(data, 0), *epoch_of(data, 1)]:
        for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
            seen.setdefault(index, []).append(image.numpy().tobytes())
    assert max(map(len, seen.values())) >= 4
    assert all(len(set(images)) == len(images) for images in seen.values())


def test_first_comings_are_as_they_were_before_there_were_others(ready: Callable[..., CocoDataModule]) -> None:
    for seed in (11, 2**40):
        data = ready(seed=seed)
        keys = {
            int(i): int(key) for batch in epoch_of(data, 1) for i, key in zip(batch.indices, batch.keys, strict=True)
        }
        assert keys == {i: np.random.SeedSequence([seed, 1, i]).generate_state(1)[0] for i in range(40)}


def test_a_contradiction_is_found_before_anything_is_drawn(tmp_path: Path, shapes_source: ShapesSource) -> None:
    with pytest.raises(ValueError, match=r"data\.val_fraction=0\.2 takes .* there is a validation file"):
        module(tmp_path / "shapes", shapes_source, val_fraction=0.2).prepare_data()
    assert not (tmp_path / "shapes").exists()


def test_an_epoch_without_samples_is_refused(write_set: Callable[..., CocoSource], tmp_path: Path) -> None:
    source = MixedSource(sources={"one": Member(root=".", source=write_set("one", [["a"]], [["a"]]), weight=0.5)})
    with pytest.raises(ValueError, match="an epoch of 1 training pictures is empty: raise the sets' weights"):
        module(tmp_path, source).setup()


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
        ValueError, match=r"annotations\.json has no usable annotation of a single object: there is nothing"
    ):
        two_parts(write, tmp_path, empty, tiny).setup()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seed": -1}, "seed is -1; give 0 or more"),
        ({"batch_size": 0}, r"data\.batch_size is 0; give 1 or more"),
        ({"val_batch_size": -1}, r"data\.val_batch_size is -1; give 1 or more"),
    ],
)
def test_unusable_choices_are_refused(shapes_root: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module(shapes_root, None, **changes)


def test_more_objects_than_slots_are_announced(ready: Callable[..., CocoDataModule]) -> None:
    with pytest.warns(UserWarning, match=r"more than the 1 of data\.object_slots: .*; list (\d+) in data") as warned:
        data = ready(object_slots=[1])
    most = max(len(record.objects.labels) for record in data.train_annotations.records)
    assert f"up to {most} objects" in str(warned[0].message) and f"list {most} in" in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ready(object_slots=[1, most])


def test_a_canvas_that_is_missing_is_announced(write_set: Callable[..., CocoSource], tmp_path: Path) -> None:
    source = write_set("one", [["a"]] * 4, [["a"]] * 2)  # 40 x 30 or 30 x 40
    choices: dict[str, Any] = {"resize": Resize(shortest=[90], longest=300), "transforms": [], "batch_size": 4}
    data = module(tmp_path, source, canvases=[(96, 128), (128, 96)], **choices)
    with pytest.warns(
        UserWarning, match=r"^no canvas holds pictures up to 120 pixels high and 120 .*: add \[128, 128\]"
    ):
        data.setup()
    with pytest.raises(ValueError, match="^no canvas holds a batch of pictures up to 120 pixels high and 120 wide"):
        epoch_of(data, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module(tmp_path, source, canvases=[(96, 128), (128, 128)], **choices).setup()
        module(tmp_path, source, canvases=[], **choices).setup()


def test_what_concerns_training_alone_is_not_told_to_who_scores(
    write_set: Callable[..., CocoSource], tmp_path: Path
) -> None:
    choices: dict[str, Any] = {"val_fraction": 0.2, "fraction": 0.5, "repeat_threshold": 1.0, "object_slots": [1]}
    source = write_set("one", [["a", "a"]] * 9 + [["b", "b"]])
    learning, scoring = module(tmp_path, source, **choices), module(tmp_path, source, **choices)
    scoring.training = False
    with pytest.warns(UserWarning, match=r"more than the 1 of data\.object_slots"):
        learning.setup()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scoring.setup("validate")
    divided, *others = learning.selection_notes
    assert divided == "data.val_fraction=0.2 of train.json: 8 pictures to learn, 2 to validate"
    assert [note.partition(" ")[0] for note in others] == ["data.fraction=0.5:", "repeat", "5"]
    assert scoring.selection_notes == [divided]
