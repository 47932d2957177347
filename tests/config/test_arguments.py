"""Command lines as users type them, and as Hydra reads them."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from maskrcnn.config.arguments import readable, tidy
from maskrcnn.config.compose import compose


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("run_dir=runs/vfü", "run_dir", "runs/vfü"),
        ("run_dir=runs/v fü:x", "run_dir", "runs/v fü:x"),
        ("read.classes=[my box,Dreieck-ü]", "read.classes", ["my box", "Dreieck-ü"]),
        ("data.class_map={thing:[my box, Dreieck-ü],b: ö}", "data.class_map",
         {"thing": ["my box", "Dreieck-ü"], "b": "ö"}),
        ("a='ü'", "a", "ü"),
        ("+a=[1, 2]", "a", [1, 2]),
    ],
)  # fmt: skip
def test_letters_beyond_ascii_need_no_quotes(typed: str, key: str, value: object) -> None:
    parsed = OverridesParser.create().parse_override(readable(typed))
    assert parsed.key_or_group == key
    assert parsed.value() == value


def test_what_hydra_reads_stays_as_it_is() -> None:
    for typed in (
        "optimizer.lr=0.1",
        "a='ü, b'",
        'a="ü"',
        "a=${ü}",
        "a=C:\\Müller\\",
        "--multirun",
        "~callbacks.ema",
        "seed",
    ):
        assert readable(typed) == typed


def test_options_may_stand_between_overrides() -> None:
    typed = ["debug=fast", "--config-dir=mine", "neck=own", "-m", "-cd", "other", "seed=0,1"]
    assert tidy(typed) == ["debug=fast", "neck=own", "seed=0,1", "--config-dir=mine", "-m", "-cd", "other"]
    assert tidy(["trainer=cpu", "--info"]) == ["trainer=cpu", "--info"]  # whose value may be left out
    assert tidy([]) == []


def test_from_python_too() -> None:
    assert compose(["data.root=bücher"]).data.root == "bücher"
