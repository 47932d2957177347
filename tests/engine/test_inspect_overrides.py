"""What inspect_data.py says of how its corrected files are used."""

import shlex
from pathlib import Path

from maskrcnn.config.compose import compose, to_plain
from maskrcnn.engine.inspect_data import overrides


def test_a_shell_and_hydra_read_the_overrides_of_corrected_files(tmp_path: Path) -> None:
    outs = [tmp_path / "it's mine, (1)" / f"clean_{part}.json" for part in ("train", "val")]
    given = shlex.split(overrides(outs))
    source = to_plain(compose(["data=coco_custom", *given]))["data"]["source"]
    assert [source[f"{part}_annotations"] for part in ("train", "val")] == list(map(str, outs))
    (alone,) = shlex.split(overrides(outs[:1]))
    assert alone == given[0] and alone.startswith("data.source.train_annotations=")
