"""Commands that take packages as words of their own also take them as the others do."""

import sys
from pathlib import Path

import pytest

from maskrcnn import cli
from maskrcnn.engine import compare, replay


@pytest.mark.parametrize("words", [["mine", "a.b"], ["plugins=[mine,a.b]"], ["plugins=[mine, a.b]"], ["mine", "[a.b]"]])
def test_replay_and_compare_take_packages_in_either_form(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(replay, "replay", lambda path, plugins: asked.append((path, plugins)))
    monkeypatch.setattr(compare, "compare", lambda a, b, plugins: asked.append((a, b, plugins)))
    monkeypatch.setattr(sys, "path", [*sys.path])
    for change in ("quieten", "shorten_warnings"):  # of the whole process
        monkeypatch.setattr(cli, change, lambda: None)
    monkeypatch.setattr(sys, "argv", ["replay.py", "x.pt", *words])
    with pytest.raises(SystemExit):
        cli.replay()
    monkeypatch.setattr(sys, "argv", ["compare.py", "a", "b,c", *words])
    cli.compare()
    assert asked == [(Path("x.pt"), ["mine", "a.b"]), ([Path("a")], [Path("b"), Path("c")], ["mine", "a.b"])]
