from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from torch.utils._pytree import tree_leaves

from maskrcnn.data.collate import Collate
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.data.transforms import Sample
from maskrcnn.engine.result_workers import ResultWorkers


def sample(height: int, width: int, objects: int, seed: int) -> Sample:
    rng = default_rng(seed)
    corner = rng.uniform(0, 10, size=(objects, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 20, size=(objects, 2))], axis=1).astype(np.float32)
    return Sample(
        image=rng.integers(1, 256, size=(height, width, 3), dtype=np.uint8),
        boxes=boxes,
        labels=rng.integers(1, 80, size=objects),
        masks=rng.integers(1, 256, size=(objects, 112, 112), dtype=np.uint8),
        mask_sizes=rng.integers(1, 113, size=(objects, 2)),
        original_size=(2 * height, 2 * width),
        index=seed + 5,
        key=2**32 - 1 - seed,
    )


def test_every_value_is_in_its_place() -> None:
    samples = [sample(40, 60, 3, 0), sample(64, 50, 0, 1), sample(10, 64, 5, 2)]
    batch = Collate([(64, 64), (96, 96)], [5, 8])(samples)
    for i, one in enumerate(samples):
        h, w, n = *one.image.shape[:2], len(one.labels)
        images = batch.images[i].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(images[:h, :w], one.image)
        assert images.sum() == one.image.sum()  # zero elsewhere
        for tensor, values in zip(batch.targets[:4], (one.boxes, one.labels, one.masks, one.mask_sizes), strict=True):
            np.testing.assert_array_equal(tensor[i, :n].numpy(), values)
            assert tensor.dtype == torch.from_numpy(values).dtype
            assert not tensor[i, n:].any()
        assert batch.targets.valid[i].tolist() == [True] * n + [False] * (5 - n)
    numbers = (batch.image_sizes, batch.original_sizes, batch.indices, batch.keys)
    assert batch.images.dtype == torch.uint8 and {tensor.dtype for tensor in numbers} == {torch.int64}
    assert batch.image_sizes.tolist() == [[40, 60], [64, 50], [10, 64]]
    assert batch.original_sizes.tolist() == [[80, 120], [128, 100], [20, 128]]
    assert batch.indices.tolist() == [5, 6, 7]
    assert batch.keys.tolist() == [2**32 - 1, 2**32 - 2, 2**32 - 3]


def test_a_worker_writes_one_piece_of_memory_that_the_trainer_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [sample(40, 60, 3, 0), sample(64, 50, 0, 1)]
    expected = tree_leaves(Collate([(64, 64)], [5])(samples))
    monkeypatch.setattr("maskrcnn.data.collate.get_worker_info", object)
    fields = tree_leaves(Collate([(64, 64)], [5])(samples))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(fields, expected, strict=True))
    assert fields[0].is_shared() and not expected[0].is_shared()
    assert len({field.untyped_storage().data_ptr() for field in fields}) == 1
    assert all(field.data_ptr() % 64 == 0 for field in fields)


def test_shared_memory_that_is_full_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(size: int) -> Any:
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)"
        )

    monkeypatch.setattr("maskrcnn.data.collate.get_worker_info", object)
    monkeypatch.setattr("torch.UntypedStorage._new_shared", fail)
    batch = [sample(600, 800, 0, 0), sample(1024, 1024, 0, 1)]  # two of 3 MB, and half a MB of objects
    with pytest.raises(
        ValueError, match=r"^there is no room in shared memory, .* for a batch of 6 MB that a data work"
    ):
        Collate([(1024, 1024)], [5])(batch)


def test_shared_memory_that_cannot_be_written_to_is_told_of(
    open_shapes: Callable[..., CocoDataModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise OSError(30, "Read-only file system")

    data = open_shapes("data.workers=1")
    monkeypatch.setattr("multiprocessing.Lock", fail)
    for start in (data.train_dataloader, data.val_dataloader, ResultWorkers(1).start):
        with pytest.raises(ValueError, match=r"^processes that .*/dev/shm .*\(Read-only .* or give data\.workers=0, "):
            start()
    assert len(list(open_shapes("data.workers=0").val_dataloader())) == 1


@pytest.mark.parametrize("channels", [1, 5])
def test_pictures_keep_their_channels(channels: int) -> None:
    image = default_rng(3).integers(256, size=(20, 30, channels), dtype=np.uint8)
    batch = Collate([], [8])([replace(sample(20, 30, 1, 0), image=image)])
    padded = np.zeros((32, 32, channels), np.uint8)
    padded[:20, :30] = image
    np.testing.assert_array_equal(batch.images[0].permute(1, 2, 0).numpy(), padded)


@pytest.mark.parametrize(
    "sizes, canvas",
    [
        ([(90, 60), (80, 64)], (96, 64)),
        ([(60, 90)], (64, 128)),
        ([(60, 90), (90, 60)], (128, 128)),  # 96 x 96 would do, and is not among them
        ([(65, 65)], (128, 128)),
    ],
)
def test_the_smallest_canvas_that_holds_the_batch(sizes: list[tuple[int, int]], canvas: tuple[int, int]) -> None:
    collate = Collate([(128, 128), (64, 128), (96, 64)], [8])
    images = collate([sample(*size, 1, i) for i, size in enumerate(sizes)]).images
    np.testing.assert_array_equal(images[0, 0, :, 0] > 0, np.arange(canvas[0]) < sizes[0][0])
    np.testing.assert_array_equal(images[0, 0, 0] > 0, np.arange(canvas[1]) < sizes[0][1])


def test_without_canvases_the_next_multiple_of_32() -> None:
    images = Collate([], [8])([sample(33, 64, 1, 0), sample(20, 10, 1, 1)]).images
    expected = np.zeros((2, 64, 64), bool)
    expected[0, :33, :64] = expected[1, :20, :10] = True
    np.testing.assert_array_equal(images[:, 0] > 0, expected)


def test_no_canvas_is_large_enough() -> None:
    with pytest.raises(
        ValueError, match=r"up to 70 pixels high and 90 wide: add .* data\.canvases, which is \[\[64, 64\]\]"
    ):
        Collate([(64, 64)], [8])([sample(70, 30, 1, 0), sample(30, 90, 1, 1)])


@pytest.mark.parametrize("objects, slots", [(0, 4), (4, 4), (5, 8), (8, 8), (9, 12), (30, 12)])
def test_the_smallest_number_of_slots_that_holds_the_fullest(objects: int, slots: int) -> None:
    batch = Collate([], [12, 4, 8])([sample(32, 32, 1, 0), sample(32, 32, objects, 1)])
    assert batch.targets.valid.tolist() == [[i < n for i in range(slots)] for n in (1, objects)]


def test_the_largest_objects_stay() -> None:
    one = sample(32, 32, 30, 3)
    batch = Collate([], [8])([one])
    areas = (one.boxes[:, 2] - one.boxes[:, 0]) * (one.boxes[:, 3] - one.boxes[:, 1])
    kept = [i for i in range(30) if sum(areas > areas[i]) < 8]
    np.testing.assert_array_equal(batch.targets.boxes[0].numpy(), one.boxes[kept])
    np.testing.assert_array_equal(batch.targets.labels[0].numpy(), one.labels[kept])
    np.testing.assert_array_equal(batch.targets.masks[0].numpy(), one.masks[kept])
    np.testing.assert_array_equal(batch.targets.mask_sizes[0].numpy(), one.mask_sizes[kept])


def test_unusable_choices_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"data\.canvases is \[\(64, 60\)\]; give heights and widths that are multiples"
    ):
        Collate([(64, 60)], [8])
    with pytest.raises(ValueError, match=r"data\.object_slots is \[\]; give one or more numbers from 1 on"):
        Collate([], [])
    with pytest.raises(ValueError, match=r"data\.object_slots is \[0\]"):
        Collate([], [0])
