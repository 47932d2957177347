"""The table of a sweep: means, deviations and columns against numbers worked out by hand."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.run_files.metric_curves import read_curve
from maskrcnn.sweep.collect import collect
from maskrcnn.sweep.report import report
from maskrcnn.sweep.result import Result, write_about, write_result
from maskrcnn.sweep.table import cells, comma_separated, head, markdown, summarise


def trial(
    sweep: Path, name: str, backbone: str, seed: int, result: dict[str, Any], lr: float = 0.1, **config: Any
) -> None:
    folder = sweep / name
    folder.mkdir(parents=True)
    about = {
        "overrides": [f"backbone={backbone}", f"seed={seed}", "data.workers=0", f"optimizer.lr={lr}"],
        "choices": {"backbone": backbone, "neck": "fpn"},
        "config": {
            "seed": seed, "data": {"seed": "${seed}", "workers": seed, "fold": None},
            "model": {"backbone": backbone}, "optimizer": {"lr": lr}, **config,
        },
    }  # fmt: skip
    write_about(folder, about)
    made = {"status": "finished", "reason": "", "scores": {}, "seconds": 360.0, "commits": ["aaa"]}
    write_result(folder, Result(**{**made, **result}, starts=1, started=0.0))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    trial(tmp_path, "a", "tiny", 0, {"scores": {"segm/AP": 0.1, "bbox/AP": 0.2}})
    trial(tmp_path, "b", "tiny", 1, {"scores": {"segm/AP": 0.3, "bbox/AP": 0.2}, "seconds": 1080.0})
    trial(tmp_path, "c", "resnet18", 0, {"scores": {"segm/AP": 0.4, "bbox/AP": 0.5}})
    trial(tmp_path, "d", "resnet18", 1, {"status": "failed", "reason": "no memory"})
    return tmp_path


def test_seeds_are_averaged_and_only_what_varies_is_a_column(sweep: Path) -> None:
    summary = summarise(collect(sweep))
    assert head(summary) == ["backbone", "trials", "mask AP", "box AP", "time a trial"]
    # mean of 0.1 and 0.3 is 0.2; deviation sqrt((0.1² + 0.1²) / (2 - 1)) = 0.141421; 360 s and 1080 s are 0.2 h
    assert comma_separated(summary) == (
        "backbone,trials,segm/AP,segm/AP std,bbox/AP,bbox/AP std,hours,commit,folders\n"
        f"resnet18,1,0.4,,0.5,,0.1,aaa,{sweep}/c\n"
        f'tiny,2,0.2,0.141421,0.2,0,0.2,aaa,"{sweep}/a,{sweep}/b"\n'
    )
    assert markdown(summary) == (
        "| backbone | trials | mask AP | box AP | time a trial |\n| --- | --- | --- | --- | --- |\n"
        "| resnet18 | 1 | 0.400 | 0.500 | 6.0 min |\n| tiny | 2 | 0.200 ± 0.141 | 0.200 ± 0.000 | 12.0 min |\n"
        "\n- backbone=resnet18 seed=1: failed: no memory\n"
    )
    assert summary.seconds == 3 * 360 + 1080


def test_numbers_of_many_digits_are_cut_in_print_alone(tmp_path: Path) -> None:
    for name, rate in (("a", 0.0031622776601683794), ("b", 0.01)):
        trial(tmp_path, name, "tiny-backbone", 0, {"scores": {"segm/AP": rate}}, lr=rate)
    summary = summarise(collect(tmp_path))
    assert [line.split(",")[0] for line in comma_separated(summary).splitlines()] == [
        "optimizer.lr", "0.01", "0.0031622776601683794",
    ]  # fmt: skip
    assert [line.split(" | ")[0] for line in markdown(summary).splitlines()[2:]] == ["| 0.01", "| 0.003162"]
    for value in ("resnext101_32x8d", "2147483647"):
        assert cells(summary, summary.rows[0]._replace(values=[value]))[0] == value


def test_several_commits_are_a_column(sweep: Path) -> None:
    trial(sweep, "e", "tiny", 2, {"scores": {"segm/AP": 0.2}, "commits": ["bbb"]})
    summary = summarise(collect(sweep))
    assert head(summary)[-1] == "commit" and [row.commits for row in summary.rows] == ["aaa", "aaa, bbb"]


def test_files_that_changed_between_trials_are_not_averaged_over(sweep: Path) -> None:
    trial(sweep, "e", "tiny", 2, {"scores": {"segm/AP": 0.2}}, schedule={"decay": 0.5})
    summary = summarise(collect(sweep))
    assert summary.columns == ["backbone", "schedule.decay"]
    assert {tuple(row.values): len(row.trials) for row in summary.rows} == {
        ("resnet18", "null"): 1, ("tiny", "null"): 2, ("tiny", "0.5"): 1,
    }  # fmt: skip


def test_a_key_that_came_between_trials_counts_as_it_was_then(sweep: Path) -> None:
    trial(sweep, "e", "tiny", 2, {"scores": {"segm/AP": 0.2}}, cuda_graphs=False)
    summary = summarise(collect(sweep))
    assert head(summary)[0:2] == ["backbone", "trials"]
    assert {row.values[0]: len(row.trials) for row in summary.rows} == {"resnet18": 1, "tiny": 3}


def test_an_unfinished_trial_says_how_far_it_came(sweep: Path) -> None:
    trial(sweep, "e", "tiny", 2, {"status": "interrupted", "reason": "stopped"})
    (sweep / "e" / "metrics").mkdir()
    (sweep / "e" / "metrics" / "metrics.csv").write_text("epoch,segm/AP,step\n0,,1\n0,0.25,3\n")
    rest = summarise(collect(sweep)).rest
    assert rest[-1] == ("backbone=tiny seed=2", "interrupted", "stopped; mask AP 0.250 after epoch 1")


def test_a_curve_counts_once_what_was_done_again(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    for name, text in {
        "metrics_1": "train/loss,step,epoch\n4,0,0\n3,1,0\n", "metrics_2": "train/loss,step,epoch\n3.5,1,0\n,2,0\n",
        "metrics_10": "train/loss,step,epoch\n2,2,0\n", "metrics": "train/loss,step,epoch\n1.5,2,0\n1,3,0\n",
    }.items():  # fmt: skip
        (tmp_path / "metrics" / f"{name}.csv").write_text(text)
    assert read_curve(tmp_path, "train/loss", "step") == [(0, 4), (1, 3.5), (2, 1.5), (3, 1)]


def test_a_folder_without_trials_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no trials of a sweep; name a folder such as multirun/"):
        report(tmp_path)


def test_the_page_needs_nothing_besides_itself(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial(sweep, "e", "<b>&", 0, {"scores": {"segm/AP": 0.2}})
    report(sweep)
    page = (sweep / "report.html").read_text()
    assert "http" not in page and "<script" not in page and "<b>&" not in page and "&lt;b&gt;&amp;" in page
    printed = capsys.readouterr().out
    assert "0.200 ± 0.141" in printed and "failed: backbone=resnet18 seed=1 (no memory)" in printed
    assert (sweep / "table.csv").read_text().startswith("backbone,trials,")


def test_the_page_links_the_trials_that_have_one_and_says_how_to_leave_others_out(sweep: Path) -> None:
    (sweep / "b" / "report.html").write_text("")
    report(sweep)
    page = (sweep / "report.html").read_text()
    assert re.findall("<a [^>]*>.*?</a>", page) == ['<a href="b/report.html">b</a>']
    folders = re.findall(r"<td>(\w+)</td><td>(\d)</td><td>(\w+)</td><td>[-.\d]+</td><td>[^<]*</td><td>(.*?)</td>", page)
    assert folders == [
        ("resnet18", "0", "finished", "c"), ("tiny", "0", "finished", "a"),
        ("tiny", "1", "finished", '<a href="b/report.html">b</a>'), ("resnet18", "1", "failed", "d"),
    ]  # fmt: skip
    assert "those of earlier commands too. To leave one out, delete its folder" in page
    shutil.rmtree(sweep / "d")
    report(sweep)
    assert "earlier commands" not in (sweep / "report.html").read_text()
