"""A folder of choices that a user brings along."""

from pathlib import Path

from maskrcnn.config.compose import compose
from maskrcnn.config.own import searching
from maskrcnn.config.unknown_key import meant


def test_its_name_may_hold_an_apostrophe(tmp_path: Path) -> None:
    folder = tmp_path / "anna's, new"
    (folder / "neck").mkdir(parents=True)
    (folder / "neck" / "mine.yaml").write_text("# @package model.neck\nspread: 3\n")
    assert compose([*searching(str(folder)), "neck=mine"]).model.neck.spread == 3
    short = tmp_path / "anna's"
    folder.rename(short)
    said = meant("model.neck.sprad", "3", "train", [f"--config-dir={short}", "neck=mine"])
    assert said == "Did you mean model.neck.spread?"
