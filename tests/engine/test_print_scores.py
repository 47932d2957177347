"""Tables of scores fit a terminal, however many classes there are."""

import io
import math

from rich.console import Console

from maskrcnn.engine.print_scores import ROWS, print_best, print_scores

KINDS = ("bbox", "segm")


def printed_scores(aps: dict[str, float]) -> list[list[str]]:
    """The cells of the lines of classes."""
    file = io.StringIO()
    scores = {f"{kind}/{row}": 0.5 for kind in KINDS for row in ROWS}
    print_scores(Console(file=file, width=80), scores, {n: {f"{k}/AP": ap for k in KINDS} for n, ap in aps.items()})
    return cells(file.getvalue())[1 + len(ROWS) :]


def cells(text: str) -> list[list[str]]:
    lines = (line for line in text.splitlines() if line[:1] in "│┃")
    return [[cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] for line in lines]


def test_few_classes_are_all_printed_in_their_order() -> None:
    aps = {f"class {i}": 0.5 for i in range(39)} | {"nothing": math.nan}
    rows = printed_scores(aps)
    assert [row[0] for row in rows] == list(aps)
    assert rows[0][1:] == ["0.500", "0.500"] and rows[-1][1:] == ["-", "-"]


def test_of_many_classes_the_best_and_the_worst_are_printed() -> None:
    aps = {f"nothing {i}": math.nan for i in range(100)} | {f"class {i}": i / 1000 for i in range(1000)}
    rows = printed_scores(aps)
    assert [row[0] for row in rows[:20]] == [f"class {i}" for i in range(999, 979, -1)]
    assert rows[20] == ["1060 others", "", ""]
    assert [row[0] for row in rows[21:]] == [f"class {i}" for i in range(19, -1, -1)]
    assert rows[-1][1:] == ["0.000", "0.000"]


def test_so_are_best_scores() -> None:
    found = {"score": 0.25, "precision": 0.5, "recall": 0.75}
    best = {"nothing": None} | {f"class {i}": {**found, "f1": i / 100} for i in range(50)}
    file = io.StringIO()
    print_best(Console(file=file, width=80), {"best": best, "calibration": {"all": {"ece": None}}})
    rows = cells(file.getvalue())[1:]
    assert rows[0] == ["class 49", "0.250", "0.500", "0.750", "0.490"]
    assert rows[20][0] == "11 others" and len(rows) == 41 and rows[-1][0] == "class 0"


def test_with_few_scored_classes_none_is_printed_twice() -> None:
    rows = printed_scores({f"nothing {i}": math.nan for i in range(50)} | {f"class {i}": i / 100 for i in range(25)})
    names = [row[0] for row in rows]
    assert names == [*(f"class {i}" for i in range(24, 4, -1)), "50 others", *(f"class {i}" for i in range(4, -1, -1))]
