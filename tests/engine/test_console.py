"""What a terminal gets."""

import io
import re
from pathlib import Path

from rich.table import Table

import maskrcnn
from maskrcnn.engine.console import Terminal, say

NAME = "\x1b]0;owned\x07 \x1b[31mred\x9b2J :smile: [bold]"
SAFE = r"\x1b]0;owned\x07 \x1b[31mred\x9b2J :smile: [bold]"


def test_no_control_character_of_a_text_gets_out() -> None:
    file = io.StringIO()
    terminal = Terminal(file=file, width=200, force_terminal=True, color_system=None)
    say(terminal, NAME)
    terminal.print(NAME)
    table = Table("a", NAME, title=NAME)
    table.add_row(NAME, "1")
    terminal.print(table)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue().replace("\x1b[3m", "").replace("\x1b[0m", ""))
    assert shown.count(SAFE) == 5
    assert all(one.isprintable() for one in shown.replace("\n", ""))


def test_there_is_no_console_but_this() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(maskrcnn.__file__).parent.rglob("*.py")}
    assert [name for name, text in sources.items() if re.search(r"\bConsole\(", text)] == []
