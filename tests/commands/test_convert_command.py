"""The conversion as a user runs it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.data.annotations import read_annotations
from maskrcnn.data.source import Split

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A LabelMe folder of one picture with a square, named dog, and a point, named cat."""
    folder = tmp_path / "labelme"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((20, 30, 3), np.uint8))
    shapes = [
        {"label": "dog", "points": [[2, 3], [6, 7]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[9, 9]], "shape_type": "point"},
    ]
    (folder / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.png"}))
    return folder


def test_labelme_to_coco_to_yolo_and_labelme(command: Command, folder: Path, tmp_path: Path) -> None:
    done = command("convert_data.py", "from=labelme", "source=labelme", "out=all.json", cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 picture (0 without objects), 1 object, 0 crowd regions",
        "  dog: 1",
        "1 shapes of type point: left out (a.json)",
        "wrote all.json; names of pictures start from labelme",
    ]
    assert read_annotations(Split(folder, tmp_path / "all.json")).records[0].objects.areas.tolist() == [16]
    arguments = ["from=coco", "source=all.json", "read.images=labelme", "to=yolo", "out=yolo", "write.split=val"]
    done = command("convert_data.py", *arguments, cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    label, *numbers = (tmp_path / "yolo" / "labels" / "a.txt").read_text().split()
    assert label == "0"  # a point makes no class
    corners = [2 / 30, 0.15, 0.2, 0.15, 0.2, 0.35, 2 / 30, 0.35]
    assert [float(number) for number in numbers] == pytest.approx(corners, abs=1e-10)
    done = command("convert_data.py", *arguments[:3], "to=labelme", "out=again", cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "again" / "a.json").read_text())
    assert [shape["points"] for shape in written["shapes"]] == [[[2, 3], [6, 3], [6, 7], [2, 7]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["source=labelme", "out=a.json"], "choose the format to read by from=...; known: coco, labelme, voc, yolo"),
        (["from=labelm", "source=labelme", "out=a.json"], "there is no from=labelm. Did you mean labelme?"),
        (["from=labelme", "source=labelme", "out=labelme"], "out=labelme is already there: delete it"),
        (["from=labelme", "source=nowhere", "out=a.json"], "source=nowhere: no such file or folder"),
        (["from=yolo", "source=labelme", "out=a.json", "split=val"], "unknown key 'split'. Did you mean read.split?"),
    ],
)
def test_mistakes_end_in_one_sentence(
    command: Command, folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = command("convert_data.py", *arguments, cwd=tmp_path, tiny=False)
    assert done.returncode != 0 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "a.json").exists()


def test_help_says_that_yolo_gets_one_split_a_folder(command: Command, tmp_path: Path) -> None:
    done = command("convert_data.py", "--help", cwd=tmp_path, tiny=False)
    assert "to=yolo writes one split into one folder, called train in its data.yaml; write.split=val" in done.stdout
    assert "\nfrom=labelme:\n  read.classes: null # in the order of their ids; null for all labels" in done.stdout
    assert "\nto=coco\nto=labelme:\n  write.pictures: copy # or symlink\n" in done.stdout
    assert "\nto=yolo:\n  write.split: train # the key of data.yaml" in done.stdout
