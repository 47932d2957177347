"""What evaluate.py writes and prints, and what it does not write over."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]


def evaluate(command: Command, run: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command("evaluate.py", f"checkpoint={run}/checkpoints/best.ckpt", *arguments, cwd=run.parent, tiny=False)


def test_a_run_and_results_are_not_written_over(command: Command, run: Path, tmp_path: Path) -> None:
    report = (run / "report.html").read_bytes()
    done = evaluate(command, run, f"output={run}")
    message = f"error: output={run} is the folder of a run, whose report would be replaced: give another\n"
    assert (done.returncode, done.stderr) == (1, message)
    assert (run / "report.html").read_bytes() == report
    (tmp_path / "detections.json").write_text("[]")
    done = evaluate(command, run, f"results={tmp_path}/detections.json", f"output={tmp_path}")
    assert f"error: output={tmp_path} holds results={tmp_path}/detections.json, which would be replaced" in done.stderr
    assert (tmp_path / "detections.json").read_text() == "[]"


def test_files_of_a_checkpoint_outside_a_run_go_beside_it(command: Command, run: Path, tmp_path: Path) -> None:
    """Not into the folder above, which is anybody's."""
    (tmp_path / "models").mkdir()
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path / "models" / "mine.ckpt")
    done = command("evaluate.py", "checkpoint=models/mine.ckpt", cwd=tmp_path, tiny=False)
    assert f"wrote {tmp_path}/models/evaluation/metrics.json" in done.stdout, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_brackets_in_names_are_printed(command: Command, shapes_root: Path, tmp_path: Path) -> None:
    """Rich would take them for its markup."""
    root = tmp_path / "shapes [old]"
    shutil.copytree(shapes_root, root)
    for part in ("train", "val"):
        content = json.loads((root / f"{part}.json").read_text())
        for category, name in zip(content["categories"], ("lung [left]", "yes [/no]", "[red]", ":smile:")):
            category["name"] = name
        (root / f"{part}.json").write_text(json.dumps(content))
    sets = [f"data.source.{part}_{what}={part}{end}" for part in ("train", "val") for what, end in
            (("images", ""), ("annotations", ".json"))]  # fmt: skip
    options = ["data=coco_custom", f"data.root='{root}'", *sets, "model.box_head.max_detections=30", "data.workers=0"]
    small = ["data.resize.shortest=[64]", "data.resize.longest=96", "data.canvases=[]", "model.backbone.width=8"]
    done = command("train.py", "debug=fast", *options, *small, "run_dir='a [b]'", cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    for text in ("lung [left]", "yes [/no]", "[red]", ":smile:", "a [b]/checkpoints/best.ckpt"):
        assert text in done.stdout
