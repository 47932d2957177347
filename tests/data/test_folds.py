import re

import numpy as np
import pytest

from maskrcnn.data.census import Census
from maskrcnn.data.folds import find_groups, stratify


def census(pictures: list[list[int]]) -> Census:
    labels = np.array([label for picture in pictures for label in picture], np.int64)
    return Census(np.array([len(picture) for picture in pictures]), labels, np.ones((len(pictures), 2), int))


def table(pictures: list[list[int]], parts: np.ndarray, classes: int) -> np.ndarray:
    """Objects of each class, empty pictures and pictures in each part, counted one by one."""
    counts = np.zeros((max(parts) + 1, classes + 2), int)
    for picture, part in zip(pictures, parts, strict=True):
        for label in picture:
            counts[part, label] += 1
        counts[part, classes] += not picture
        counts[part, classes + 1] += 1
    return counts


def test_what_can_be_even_is_even() -> None:
    # 10 pictures of one rare object and two common ones, 20 of one common one, 10 empty.
    pictures = [[2, 0, 0]] * 10 + [[0]] * 20 + [[]] * 10
    order = np.random.default_rng(0).permutation(len(pictures))
    pictures = [pictures[i] for i in order]
    parts = stratify(census(pictures), np.arange(40), [0.2] * 5, 0)
    assert table(pictures, parts, 3).tolist() == [[8, 0, 2, 2, 8]] * 5


def test_long_tailed_classes_are_near_to_even() -> None:
    rng = np.random.default_rng(1)
    pictures = [list(rng.choice(20, rng.poisson(3), p=np.arange(20, 0, -1) / 210)) for _ in range(600)]
    counts = table(pictures, stratify(census(pictures), np.arange(600), [0.2] * 5, 0), 20)
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 5
    assert set(counts[:, -1]) <= {119, 120, 121}
    chance = table(pictures, rng.integers(5, size=600), 20)
    assert (chance.max(axis=0) - chance.min(axis=0)).max() > 15


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_share_of_every_class(share: float) -> None:
    rng = np.random.default_rng(2)
    pictures = [list(rng.choice(4, rng.poisson(2), p=[0.5, 0.3, 0.15, 0.05])) for _ in range(400)]
    counts = table(pictures, stratify(census(pictures), np.arange(400), [share, 1 - share], 0), 4)
    np.testing.assert_allclose(counts[0], share * counts.sum(axis=0), atol=2)


def test_groups_stay_together() -> None:
    rng = np.random.default_rng(3)
    pictures = [list(rng.choice(3, rng.poisson(2))) for _ in range(300)]
    groups = np.unique(rng.integers(60, size=300), return_inverse=True)[1]
    parts = stratify(census(pictures), groups, [0.25] * 4, 0)
    assert all(len(set(parts[groups == group])) == 1 for group in set(groups))
    counts = table(pictures, parts, 3)
    np.testing.assert_allclose(counts[:, :3], np.tile(counts[:, :3].sum(axis=0) / 4, (4, 1)), rtol=0.1)


def test_parts_are_a_function_of_the_seed() -> None:
    pictures = [[i % 3] for i in range(60)]
    first, again, other = (stratify(census(pictures), np.arange(60), [0.5] * 2, seed) for seed in (4, 4, 5))
    assert first.tolist() == again.tolist() != other.tolist()


def test_as_many_groups_as_parts() -> None:
    assert sorted(stratify(census([[0], [], [1, 1], [0]]), np.arange(4), [0.25] * 4, 0)) == [0, 1, 2, 3]


def test_groups_by_name() -> None:
    names = ["slide1/a_1.png", "slide2/a_1.png", "slide1/b_7.png", "x.png"]
    assert find_groups(names, re.compile(r"^(\w+)/|(.*)")).tolist() == [0, 1, 0, 2]
    assert find_groups(names[:3], re.compile(r"/(\w)_(\d)")).tolist() == [0, 0, 1]
    with pytest.raises(
        ValueError, match=r"data\.fold_group=\^\(\\w\+\)/ does not match 1 of the 4 pictures: x\.png\. Let"
    ):
        find_groups(names, re.compile(r"^(\w+)/"))
