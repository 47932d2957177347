"""The folder of a sweep and of a trial."""

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.identity import identity
from maskrcnn.config.trial_names import sweep_name, trial_name


def test_a_sweep_with_more_values_of_the_same_keys_is_the_same() -> None:
    name = sweep_name(["backbone=tiny,resnet18", "seed=0,1", "optimizer.lr=0.1"], None)
    assert name.startswith("backbone+seed-")
    assert sweep_name(["seed=0,1,2", "optimizer.lr=0.1", "backbone=tiny,resnet50", "data.workers=4"], None) == name
    assert sweep_name(["seed=0,1", "optimizer.lr=0.1"], {"backbone": "tiny,resnet18"}) == name
    assert sweep_name(["backbone=tiny,resnet18", "seed=0,1", "optimizer.lr=0.2"], None) != name
    assert sweep_name(["backbone=tiny,resnet18", "seed=0,1"], None) != name


def test_a_trial_has_the_identity_of_its_configuration() -> None:
    config = compose(["seed=3", "neck=fpn"])
    assert trial_name(config) == identity(to_plain(config)) != trial_name(compose(["seed=3"]))
