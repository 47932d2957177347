import warnings

import pytest

from maskrcnn.config.printable import printable
from maskrcnn.config.reason import reason
from maskrcnn.start import shorten_warnings

NAME = "\x1b[31mred\x9b2J \r\x07\x7f\ud800 Müller, 細胞\tand\nmore"
SAFE = r"\x1b[31mred\x9b2J \r\x07\x7f\ud800 Müller, 細胞" + "\tand\nmore"


def test_control_characters_are_written_as_in_python_and_the_rest_as_it_is() -> None:
    assert printable(NAME) == SAFE
    assert reason(ValueError(NAME)) == SAFE


def test_warnings_hold_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    shorten_warnings()
    assert warnings.formatwarning(UserWarning(NAME), UserWarning, "a.py", 1) == f"warning: {SAFE}\n"
