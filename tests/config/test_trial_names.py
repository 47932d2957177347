"""The folder of a sweep and of a trial."""

import json
from pathlib import Path
from typing import Any

from omegaconf import open_dict

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.identity import identity
from maskrcnn.config.trial_names import sweep_name, trial_folder, trial_name


def test_a_sweep_with_more_values_of_the_same_keys_is_the_same() -> None:
    name = sweep_name(["backbone=tiny,resnet18", "seed=0,1", "optimizer.lr=0.1"], None)
    assert name.startswith("backbone+seed-")
    assert sweep_name(["seed=0,1,2", "optimizer.lr=0.1", "backbone=tiny,resnet50", "data.workers=4"], None) == name
    assert sweep_name(["seed=0,1", "optimizer.lr=0.1"], {"backbone": "tiny,resnet18"}) == name
    assert sweep_name(["backbone=tiny,resnet18", "seed=0,1", "optimizer.lr=0.2"], None) != name
    assert sweep_name(["backbone=tiny,resnet18", "seed=0,1"], None) != name


def test_a_trial_has_the_identity_of_its_configuration(tmp_path: Path) -> None:
    config = compose(["seed=3", "neck=fpn"])
    plain = to_plain(config)
    with open_dict(config):
        config.hydra = {"sweep": {"dir": str(tmp_path)}}
    assert trial_name(config) == trial_folder(tmp_path, plain) == identity(plain)
    assert identity(plain) != trial_folder(tmp_path, to_plain(compose(["seed=3"])))


def test_a_trial_from_before_a_key_came_keeps_its_folder(tmp_path: Path) -> None:
    def begun(seed: int, **changed: Any) -> str:
        plain = {**to_plain(compose([f"seed={seed}"])), **changed}
        del plain["cuda_graphs"]  # which came later
        (tmp_path / identity(plain)).mkdir()
        (tmp_path / identity(plain) / "receipt.json").write_text(json.dumps({"config": plain}))
        return identity(plain)

    (tmp_path / "0broken").mkdir()
    (tmp_path / "0broken" / "receipt.json").write_text("[]")
    name = begun(0)
    begun(1, compile=True)
    assert trial_folder(tmp_path, to_plain(compose(["seed=0"]))) == name
    for other in (["seed=0", "cuda_graphs=true"], ["seed=1"]):
        plain = to_plain(compose(other))
        assert trial_folder(tmp_path, plain) == identity(plain)
    now = to_plain(compose(["seed=0"]))
    (tmp_path / identity(now)).mkdir()  # trained anew meanwhile
    assert trial_folder(tmp_path, now) == identity(now)
