"""Commands that take packages as words of their own also take them as the others do."""

import logging
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from maskrcnn import cli
from maskrcnn.commands import compare, replay
from maskrcnn.config.compose import compose

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("words", [["mine", "a.b"], ["plugins=[mine,a.b]"], ["plugins=[mine, a.b]"], ["mine", "[a.b]"]])
def test_replay_and_compare_take_packages_in_either_form(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(replay, "replay", lambda path, plugins: asked.append((path, plugins)))
    monkeypatch.setattr(compare, "compare", lambda a, b, plugins, own: asked.append((a, b, plugins, own)))
    monkeypatch.setattr(cli, "find_plugins", lambda names: None)  # there are none
    for change in ("quieten", "shorten_warnings"):  # of the whole process
        monkeypatch.setattr(cli, change, lambda: None)
    monkeypatch.setattr(sys, "argv", ["replay.py", "x.pt", *words])
    with pytest.raises(SystemExit):
        cli.replay()
    sides = [Path("a")], [Path("b"), Path("c")]
    for options, own in ([], None), (["--config-dir=tests"], str(ROOT / "tests")):
        monkeypatch.setattr(sys, "argv", ["compare.py", "a", "b,c", *options, *words])
        monkeypatch.chdir(ROOT)
        cli.compare()
        assert asked.pop() == (*sides, ["mine", "a.b"], own)
    assert asked == [(Path("x.pt"), ["mine", "a.b"])]


def test_trials_of_a_search_find_the_users_own_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="needs the extra optuna")
    from maskrcnn.sweep import search

    asked: list[list[str]] = []
    monkeypatch.setattr(search, "search", lambda train, *, override, **others: asked.append(override) is None)
    monkeypatch.setattr(cli, "check", lambda plain, root: None)  # whose root is the stand-in
    monkeypatch.setattr("maskrcnn.start.shorten_warnings", lambda: None)
    # What Hydra leaves in the process is to be as it was before.
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    monkeypatch.setattr(logging.root, "handlers", [*logging.root.handlers])
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")
    monkeypatch.delenv("HYDRA_FULL_ERROR")
    folder = tmp_path / "own"
    (folder / "backbone").mkdir(parents=True)
    (folder / "backbone" / "mine.yaml").write_text("# @package model.backbone\n_target_: mine.Net\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["search.py", "--config-dir=own", "space={seed: [1]}", 'override=["backbone=mine","seed=3"]']
    )
    cli.search()
    assert asked == [[f"hydra.searchpath=['file://{folder}']", "backbone=mine", "seed=3"]]
    assert compose(asked[0]).model.backbone._target_ == "mine.Net"


@pytest.mark.parametrize("command", ["replay x.pt", "compare a b"])
def test_a_package_that_is_nowhere_ends_them_in_a_sentence(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ("quieten", "shorten_warnings"):
        monkeypatch.setattr(cli, change, lambda: None)
    name, *arguments = command.split()
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments, "plugins=[mien]"])
    with pytest.raises(SystemExit, match="^error: plugins: there is no package 'mien': start in the folder that holds"):
        getattr(cli, name)()
