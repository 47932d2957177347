"""What inspect_data.py says of how its corrected files are used."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.inspect_data import overrides


def test_a_shell_and_hydra_read_the_overrides_of_corrected_files(tmp_path: Path) -> None:
    outs = [tmp_path / "it's mine, (1)" / f"clean_{part}.json" for part in ("train", "val")]
    given = shlex.split(overrides(outs))
    source = to_plain(compose(["data=coco_custom", *given]))["data"]["source"]
    assert [source[f"{part}_annotations"] for part in ("train", "val")] == list(map(str, outs))
    (alone,) = shlex.split(overrides(outs[:1]))
    assert alone == given[0] and alone.startswith("data.source.train_annotations=")


def test_a_corrected_file_is_offered_where_there_is_something_to_correct(
    command: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    source = ["data.source.train_pictures=4", "data.source.val_pictures=2"]
    shapes = ["inspect_data.py", f"data.root={tmp_path}/shapes", *source]
    offer = "to write a corrected file, repeat the command with fix=true out=clean.json"
    sound = command(*shapes, cwd=tmp_path, tiny=False).stdout
    assert offer not in sound and "objects, at the network's size" in sound
    (file,) = tmp_path.glob("shapes*/train.json")
    annotations = json.loads(file.read_text())
    annotations["annotations"][0]["bbox"] = [0, 0, 3, 3]  # a note: training takes the mask's
    file.write_text(json.dumps(annotations))
    folder = ["data=coco_custom", f"data.root={file.parent}", "data.source.train_images=train"]
    folder += ["data.source.train_annotations=train.json", "data.source.val_images=val"]
    done = command("inspect_data.py", *folder, "data.source.val_annotations=val.json", cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == offer
