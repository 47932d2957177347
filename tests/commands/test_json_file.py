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
    write_json(path, [1], Console(quiet=True))

    def fill(self: Path, text: str, encoding: str) -> None:
        self.write_bytes(text.encode()[:2])
        raise OSError("no space")

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(OSError, match="no space"):
        write_json(path, [1, 2, 3], Console(quiet=True))
    assert path.read_bytes() == b"[1]\n"
