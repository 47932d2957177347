"""docs/how-it-works.md speaks of code that is there."""

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "how-it-works.md").read_text()
NAMES = sorted(set(re.findall(r"\[`([\w.]+)`\]\(\.\./([\w/]+)\.py\)", TEXT)))
QUOTES = re.findall(r"```python\n# (\S+)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("name, module", NAMES)
def test_a_name_stands_in_the_file_that_it_links_to(name: str, module: str) -> None:
    imported = importlib.import_module(module.replace("/", "."))
    found = imported
    for part in name.split("."):
        found = getattr(found, part)
    assert found.__module__ == imported.__name__  # and is not merely imported there


@pytest.mark.parametrize("file, quote", QUOTES)
def test_quoted_lines_stand_in_their_file_one_after_the_other(file: str, quote: str) -> None:
    lines = [line.strip() for line in (DOCS.parent / file).read_text().splitlines()]
    quoted = [line.strip() for line in quote.strip().splitlines()]
    assert quoted in [lines[i : i + len(quoted)] for i in range(len(lines))]


def test_the_examples_above_are_found() -> None:
    assert len(NAMES) >= 20 and len(QUOTES) >= 4


def test_pictures_are_there_and_light() -> None:
    pictures = [DOCS / path for path in re.findall(r"!\[.*?\]\((\S+)\)", TEXT)]
    assert len(pictures) >= 4
    assert sum(path.stat().st_size for path in pictures) < 600_000
