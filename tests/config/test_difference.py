"""Overrides from one configuration to another."""

import pytest

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.difference import Described, difference


def described(*overrides: str) -> Described:
    return Described(to_plain(compose(overrides)), list(overrides))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([], ["run_dir=elsewhere", "data.workers=3"], []),  # of no influence
        (["logger=wandb", "logger.wandb.id=x"], ["logger=mlflow", "logger.mlflow.run_id=y", "seed=1"], ["seed=1"]),
        ([], ["optimizer.lr=0.01"], ["optimizer.lr=0.01"]),
        # A choice that explains several keys, and one that explains a single one.
        ([], ["optimizer=sgd"], ["optimizer=sgd"]),
        ([], ["neck=fpn", "model.neck.channels=40", "model.neck.norm=batch"], ["model.neck.extra_level=true"]),
        (["neck=fpn", "model.neck.channels=16"], ["seed=1"], ["neck=fpn_small", "model.neck.channels=40", "seed=1"]),
        # Followers of a key come with it.
        ([], ["model.box_head.max_detections=20"], ["model.box_head.max_detections=20"]),
        (["model.box_head.max_detections=20"], [], ["model.box_head.max_detections=30"]),
        ([], ["+trainer.benchmark=true", "~callbacks.pictures"], ["~callbacks.pictures", "+trainer.benchmark=true"]),
        ([], ["callbacks=ema"], ["callbacks=ema"]),  # not its keys, of which some are of no influence
        ([], ["data.class_map={round: [circle]}"], ["data.class_map={round: [circle]}"]),
    ],
)
def test_the_shortest_list(a: list[str], b: list[str], expected: list[str]) -> None:
    found = difference(described(*a), described(*b)).overrides
    assert found is not None and sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("a", "b", "overrides", "without"),
    [
        (
            ["optimizer.algorithm.momentum=0.5", "optimizer=sgd", "seed=1"],
            ["optimizer.lr=0.01"],
            ["optimizer=adamw", "optimizer.lr=0.01", "seed=0"],
            ["optimizer.algorithm.momentum=0.5"],
        ),
        (  # numbers of drawn pictures
            ["data.source.train_pictures=9"],
            ["data=nuclei", "data.root=x"],
            ["data=nuclei", "data.root=x"],
            ["data.source.train_pictures=9"],
        ),
    ],
)
def test_what_the_choices_of_the_second_lack_is_to_be_left_out(
    a: list[str], b: list[str], overrides: list[str], without: list[str]
) -> None:
    found = difference(described(*a), described(*b))
    assert found.overrides is not None and sorted(found.overrides) == sorted(overrides)
    assert found.without == without


def test_keys_where_it_cannot_be_composed() -> None:
    other = described("optimizer.lr=0.01")
    found = difference(described(), other._replace(overrides=None))
    assert found == (None, [], ["optimizer.lr: 0.003 -> 0.01"])
    changed = described()
    changed.config["optimizer"]["lr"] = 0.5  # as if conf/ had said so then
    assert difference(changed, other) == (None, [], ["optimizer.lr: 0.5 -> 0.01"])
