import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from maskrcnn.engine.json_file import write_json


def test_what_is_not_a_number_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"segm/AP": 0.5, "per_class": {"star": {"segm/AP": math.nan}}, "slices": []}, Console(width=20))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found == {"segm/AP": 0.5, "per_class": {"star": {"segm/AP": None}}, "slices": []}
    assert capsys.readouterr().out == f"wrote {path}\n"
