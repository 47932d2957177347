"""Configurations composed within programs that use Hydra and OmegaConf themselves."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.version import getbase
from omegaconf import OmegaConf

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.provenance import Provenance


def test_a_hydra_of_the_program_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("theirs: ${hydra:job.name}\n")
    alone = to_plain(compose(["backbone=resnet101"]))["model"]
    with pytest.raises(ValueError) as told:
        compose(["backbone=resnet102"])
    with hydra.initialize_config_dir(str(tmp_path), "app", version_base="1.2"):
        running = GlobalHydra.instance().hydra
        assert to_plain(compose(["backbone=resnet101"]))["model"] == alone
        assert Provenance(["backbone=resnet101"]).plain["model"] == alone
        with pytest.raises(ValueError) as again:
            compose(["backbone=resnet102"])
        assert str(again.value) == str(told.value) and "resnet101" in str(told.value)
        assert GlobalHydra.instance().hydra is running and str(getbase()) == "1.2"
        assert JobRuntime.instance().get("name") == "app"
        assert OmegaConf.to_container(hydra.compose("app"), resolve=False) == {"theirs": "${hydra:job.name}"}
    assert not GlobalHydra.instance().is_initialized()


def test_threads_compose_what_each_would_alone() -> None:
    widths = [8, 16, 24, 32] * 3

    def width(number: int) -> tuple[int, str]:
        with pytest.raises(ValueError) as told:
            compose([f"model.bakbone.width={number}"])
        return to_plain(compose([f"model.backbone.width={number}"]))["model"]["backbone"]["width"], str(told.value)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(width, widths))
    assert [one for one, _ in found] == widths
    assert {said for _, said in found} == {width(8)[1]} and "model.backbone" in width(8)[1]


def test_resolvers_of_the_program_keep_their_names() -> None:
    expected = to_plain(compose(["data=nuclei", "data.root=x", "run_dir=y"]))
    for name in ("run_dir", "up_to_cores"):
        OmegaConf.register_new_resolver(name, lambda *_: "theirs")
    try:
        assert to_plain(compose(["data=nuclei", "data.root=x", "run_dir=y"])) == expected
        assert to_plain(compose())["run_dir"].startswith("runs/")
        assert OmegaConf.create({"own": "${run_dir:x}"}).own == "theirs"
    finally:
        for name in ("run_dir", "up_to_cores"):
            OmegaConf.clear_resolver(name)


def test_a_folder_of_choices_may_have_an_apostrophe_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    (folder / "optimizer").mkdir(parents=True)
    (folder / "optimizer" / "slow.yaml").write_text("defaults: [sgd]\nlr: 0.125\n", encoding="utf-8")
    assert compose(["optimizer=slow"], config_dir=folder).optimizer.lr == 0.125
