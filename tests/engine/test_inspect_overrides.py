"""What inspect_data.py says of how its corrected files are used."""

import json
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.inspect_data import overrides


def test_a_shell_and_hydra_read_the_overrides_of_corrected_files(tmp_path: Path) -> None:
    outs = {part: tmp_path / "it's mine, (1)" / f"clean_{part}.json" for part in ("train", "val")}
    given = shlex.split(overrides(outs))
    source = to_plain(compose(["data=coco_custom", *given]))["data"]["source"]
    assert {part: source[f"{part}_annotations"] for part in outs} == {part: str(path) for part, path in outs.items()}
    (alone,) = shlex.split(overrides({"val": outs["val"]}))
    assert alone == given[1] and alone.startswith("data.source.val_annotations=")


def test_a_corrected_file_is_offered_where_there_is_something_to_correct(
    command: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    source = ["data.source.train_pictures=4", "data.source.val_pictures=2"]
    shapes = ["inspect_data.py", f"data.root={tmp_path}/shapes", *source]
    offer = "to write a corrected file, repeat the command with fix=true out=clean.json"
    (tmp_path / "inspection").mkdir()
    other = {"parts": {part: {"annotations": f"other/{part}.json"} for part in ("train", "val")}}
    (tmp_path / "inspection" / "report.json").write_text(json.dumps(other))
    sound = command(*shapes, cwd=tmp_path, tiny=False).stdout
    replaced = "NOTE: inspection held the page of other/train.json, other/val.json, now replaced: give each data set"
    assert replaced in sound
    assert offer not in sound and "objects, at the network's size" in sound
    (file,) = tmp_path.glob("shapes*/train.json")
    annotations = json.loads(file.read_text())
    annotations["annotations"][0]["bbox"] = [0, 0, 3, 3]  # a note: training takes the mask's
    file.write_text(json.dumps(annotations))
    objects = Counter(annotation["image_id"] for annotation in annotations["annotations"])
    folder = ["inspect_data.py", "data=coco_custom", f"data.root={file.parent}", "data.source.train_images=train"]
    folder += ["data.source.train_annotations=train.json", "data.source.val_images=val"]
    folder += ["data.source.val_annotations=val.json", "model.box_head.max_detections=2"]
    done = command(*folder, cwd=tmp_path, tiny=False)  # in 80 columns, which break no key
    assert done.returncode == 0, done.stderr
    crowded = [image["id"] for image in annotations["images"] if objects[image["id"]] > 2]
    most = max(objects.values())
    assert (
        f"""
note in train: pictures with up to {most} objects, more than model.box_head.max_detections (2): {len(crowded)}
    {", ".join(map(str, crowded))}
    raise model.box_head.max_detections (and model.box_head.pre_nms with it)
"""
        in done.stdout
    )
    assert done.stdout.splitlines()[-1] == offer
    assert "An error stops training. What is mended, training mends for itself. A note is worth a look." in done.stdout
    assert "error:" not in done.stdout  # there was none, and none may seem to be
    fix = ["fix=true", "out=clean.json"]
    done = command(*folder, *fix, cwd=tmp_path, tiny=False)
    use = f"data.source.train_annotations={tmp_path}/clean_train.json"
    assert done.stdout.splitlines()[-1] == f"train with it: {use}"
    assert {path.name for path in tmp_path.glob("clean*")} == {"clean_train.json", "clean_train_changes.csv"}
    done = command(*folder, use, "fix=true", "out=again.json", cwd=tmp_path, tiny=False)
    assert done.stdout.splitlines()[-1] == "no corrected file is written: there is nothing to correct"
    assert "NOTE: inspection held" not in done.stdout  # the validation file is the same
    assert not list(tmp_path.glob("again*"))
    val = file.parent / "val.json"
    val.write_text(val.read_text(encoding="utf-8").replace('"star"', '"moon"'), encoding="utf-8")
    done = command(*folder, "fix=true", "out=third.json", cwd=tmp_path, tiny=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(
        "train with it, once the errors above are mended: data.source.train_"
    )
