"""Annotation files and pictures spoilt in thousands of ways: read, or refused with the name of what is wrong."""

import copy
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import Resize
from maskrcnn.data.transforms import make_sample, sample_seed

FUZZ = settings(
    derandomize=True,  # the same few thousand ways each time
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)
NASTY = [
    None,
    True,
    0,
    -1,
    1,
    10**9,
    10**30,
    -(10**30),
    0.5,
    1e300,
    float("nan"),
    float("inf"),
    "",
    "a",
    "7",
    "\ud800",
    "\0",
]
JSON = st.recursive(
    st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(["size", "counts", "id"]), inner),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, dataset: dict[str, Any]) -> Any:
    """The data set with one to three entries replaced, removed, doubled or exchanged."""
    dataset = copy.deepcopy(dataset)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(dataset))))
        if not path:
            continue
        parent: Any = dataset
        for key in path[:-1]:
            parent = parent[key]
        action = draw(st.sampled_from(["replace", "replace", "replace", "remove", "double", "exchange"]))
        if action == "replace":
            parent[path[-1]] = draw(JSON)
        elif action == "remove":
            del parent[path[-1]]
        elif action == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        elif action == "exchange":
            other = draw(st.sampled_from([place for place in places(dataset) if place]))
            value: Any = dataset
            for key in other:
                value = value[key]
            parent[path[-1]] = copy.deepcopy(value)
    return dataset


def test_annotations(tiny: dict[str, Any], write: Any) -> None:
    split = write(tiny)
    read = PictureReader(3, 65535)
    resize = Resize(shortest=[32], longest=64)

    @settings(FUZZ, max_examples=2000)
    @given(spoilt(tiny))
    def check(dataset: Any) -> None:
        split.annotations.write_text(json.dumps(dataset))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                annotations = read_annotations(split)
            except (ValueError, FileNotFoundError) as error:
                message = str(error)
            else:
                message = ""
        if message:
            assert "annotations.json" in message
            return
        usable = sum(len(r.objects.masks) + len(r.crowds.masks) for r in annotations.records)
        left_out = sum(int(str(w.message).split(": ")[1].split()[0]) for w in caught if ": left out" in str(w.message))
        assert usable + left_out >= len(dataset.get("annotations", []))  # none is lost without a word
        for index, record in enumerate(annotations.records):
            try:
                image = read(record.path, (record.height, record.width))
            except ValueError as error:
                message = str(error)
            if message:
                assert record.path.name in message
                return
            sample = make_sample(image, record, index, sample_seed(0, 0, index), resize, None)
            assert len(sample.labels) == len(record.objects.masks)
            assert np.isfinite(sample.boxes).all() and (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()

    check()


@pytest.mark.parametrize("form", ["png", "jpg", "tif", "bmp", "webp"])
def test_pictures(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"picture.{form}"
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert cv2.imwrite(str(path), picture)
    whole = path.read_bytes()
    read = PictureReader(3, 65535)

    @settings(FUZZ, max_examples=300)
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=6), st.floats(0, 2))
    def check(changes: list[tuple[int, int]], kept: float) -> None:
        data = bytearray(whole)
        for place, value in changes:
            data[place] = value
        path.write_bytes(bytes(data[: int(len(data) * min(kept, 1.0))]))
        try:
            image = read(path, (20, 30))
        except ValueError as error:
            message = str(error)
        else:
            message = ""
        if message:
            assert path.name in message
            return
        assert image.shape == (20, 30, 3) and image.dtype == np.uint8

    check()
