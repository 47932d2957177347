import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from maskrcnn.commands.json_file import write_json


def test_what_is_not_a_number_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"segm/AP": 0.5, "per_class": {"star": {"segm/AP": math.nan}}, "slices": []}, Console(width=20))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found == {"segm/AP": 0.5, "per_class": {"star": {"segm/AP": None}}, "slices": []}
    assert capsys.readouterr().out == f"wrote {path}\n"


def test_what_cannot_be_written_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, [1], Console(quiet=True), indent=None)

    def fill(self: Path, text: str, encoding: str) -> None:
        self.write_bytes(text.encode()[:2])
        raise OSError("no space")

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(OSError, match="no space"):
        write_json(path, [1, 2, 3], Console(quiet=True))
    assert path.read_bytes() == b"[1]\n"


def test_one_line_is_asked_for(tmp_path: Path) -> None:
    """The 1,450,000 counts of a confusion matrix of 1,203 classes took 13 MB, almost all of it blanks."""
    write_json(tmp_path / "a.json", {"matrix": [[0, 1]]}, Console(quiet=True), indent=None)
    assert (tmp_path / "a.json").read_text() == '{"matrix": [[0, 1]]}\n'
    write_json(tmp_path / "a.json", {"AP": 0.5}, Console(quiet=True))
    assert (tmp_path / "a.json").read_text() == '{\n  "AP": 0.5\n}\n'
