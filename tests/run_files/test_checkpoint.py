"""Checkpoints from elsewhere: nothing in them runs, and every refusal says why."""

import functools
import pickle
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.config.build import build
from maskrcnn.engine.restore import override_config, restore
from maskrcnn.run_files import checkpoint, receipt_file
from maskrcnn.run_files.resume import finished


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    for content in ({"maskrcnn": Attack(tmp_path / "ran")}, Attack(tmp_path / "ran")):
        path = tmp_path / "evil.ckpt"
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"evil\.ckpt holds more than .* could run code \(\S+\)\. "):
            checkpoint.read(path)
    path.write_bytes(pickle.dumps(Attack(tmp_path / "ran")))
    with pytest.raises(ValueError, match=r"evil\.ckpt"):
        checkpoint.read(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("model", "backbone", {"_target_": "os.system", "command": "touch ran"}),
        ("model", "backbone", {"_target_": "maskrcnn.start.os.system", "command": "touch ran"}),
        ("data", "transforms", [{"_target_": "subprocess.run", "args": ["touch", "ran"]}]),
        ("schedule", "_target_", "os.system"),
    ],
)
def test_a_checkpoints_configuration_cannot_name_what_it_likes(
    run: Path, tmp_path: Path, group: str, key: str, value: Any
) -> None:
    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    config = loaded["maskrcnn"]["config"]
    config[group][key] = value
    config["plugins"] = ["os", "subprocess", "posix"]  # what a file says of plugins does not count
    torch.save(loaded, tmp_path / "evil.ckpt")
    with pytest.raises(ValueError, match=r"not among the packages|there is no module"):
        restore(tmp_path / "evil.ckpt", [], [])
    assert not Path("ran").exists()


def test_interpolations_that_ask_this_machine_are_refused() -> None:
    with pytest.raises(ValueError, match="interpolation"):
        override_config({"a": ["${oc.env:HOME}"]}, [])
    assert override_config({"a": 1, "b": "${a}"}, ["a=2"]) == {"a": 2, "b": 2}
    # Of a node what is given changes; another mapping is replaced.
    assert override_config({"a": {"_target_": "x", "lr": 1, "b": 2}}, ["a={lr: 3}"])["a"] == {
        "_target_": "x", "lr": 3, "b": 2,
    }  # fmt: skip
    assert override_config({"a": {"cat": ["x"]}}, ["a={dog: [x]}"]) == {"a": {"dog": ["x"]}}
    node = {"_target_": "x", "lr": 1}
    assert override_config({"a": node}, ["a={_target_: y, b: 2}"])["a"] == {"_target_": "y", "b": 2}
    assert override_config({"a": node}, ["a={_target_: x, lr: 2}"])["a"] == {"_target_": "x", "lr": 2}
    with pytest.raises(ValueError, match="override=a=gpu: a checkpoint has no groups to choose from; of a single keys"):
        override_config({"a": {"_target_": "x", "lr": 1}}, ["a=gpu"])
    assert override_config({"a": {"_target_": "x", "lr": 1}}, ["a=null"]) == {"a": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a checkpoint, or it is cut short"),
        (b"# maskrcnn\n", "is not a checkpoint, or it is broken$"),
        (b"PK\x03\x04 cut", "is not a checkpoint, or it is cut short"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        checkpoint.read(path)
    assert "Re-running" not in "".join(traceback.format_exception(raised.value))  # torch's advice to run the file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maskrcnn": [1]}, "has format None, this version reads 1"),
        ({"maskrcnn": {"format": 2}}, "has format 2, this version reads 1"),
        ({"maskrcnn": {"format": 1}}, "lacks a part of a checkpoint: copy it again"),
        ({"state_dict": [1]}, "lacks a part of a checkpoint: copy it again"),
        ({"state_dict": {5: torch.zeros(1)}}, "lacks a part of a checkpoint: copy it again"),
    ],
)
def test_what_lacks_a_part_is_named(run: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(loaded | change, tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=rf"odd\.ckpt {message}"):
        restore(tmp_path / "odd.ckpt", [], [])


@pytest.mark.parametrize(("key", "value"), [("config", {}), ("config", []), ("classes", 5), ("classes", [1])])
def test_odd_content_is_named(run: Path, tmp_path: Path, key: str, value: Any) -> None:
    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    loaded["maskrcnn"][key] = value
    torch.save(loaded, tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=r"odd\.ckpt lacks a part of a checkpoint: copy it again"):
        restore(tmp_path / "odd.ckpt", [], [])


def test_a_truncated_checkpoint_is_named(run: Path, tmp_path: Path) -> None:
    whole = (run / "checkpoints" / "last.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.ckpt is not a checkpoint, or it is cut short"):
        checkpoint.read(tmp_path / "cut.ckpt")


def test_other_files_and_other_architectures_are_told_apart(run: Path, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "foreign.pth")
    with pytest.raises(ValueError, match=r"use weights=.*foreign\.pth"):
        checkpoint.read(tmp_path / "foreign.pth")
    last = run / "checkpoints" / "last.ckpt"
    with pytest.raises(ValueError) as refused:
        restore(last, ["model.neck.channels=24", "model.backbone.layers=[0, 2, 1, 2]"], [])
    assert str(refused.value) == (
        f"{last} is of another architecture: model.backbone.layers=[0, 2, 1, 1] there, [0, 2, 1, 2] here; "
        "model.neck.channels=16 there, 24 here. Use the configuration that it was trained with"
    )
    with pytest.raises(ValueError, match=r"unknown key 'model.nek.channels'. Did you mean model.neck.channels"):
        restore(run / "checkpoints" / "last.ckpt", ["model.nek.channels=24"], [])


def stripped(run: Path, path: Path, *keys: str) -> Path:
    """The run's last checkpoint without some keys of its configuration, as if they had come later."""
    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    for key in keys:
        *parents, name = key.split(".")
        del functools.reduce(dict.__getitem__, parents, loaded["maskrcnn"]["config"])[name]
    path.parent.mkdir(exist_ok=True)
    torch.save(loaded, path)
    return path


def test_a_checkpoint_from_before_some_keys_is_read_on(run: Path, tmp_path: Path) -> None:
    old = stripped(run, tmp_path / "old.ckpt", "model.box_head.nms", "model.box_head.nms_sigma", "data.stretch")
    with pytest.warns(
        UserWarning, match=r"old\.ckpt .*nms=greedy, model\.box_head\.nms_sigma=0\.5, data\.stretch=null"
    ):
        restored = restore(old, [], [])
    whole = restore(run / "checkpoints" / "last.ckpt", [], [])
    assert restored.config == whole.config
    assert all(torch.equal(a, b) for a, b in zip(restored.model.parameters(), whole.model.parameters()))
    changed = restore(old, ["model.box_head.nms=linear"], [])
    assert changed.config["model"]["box_head"]["nms"] == "linear"


def test_a_run_from_before_some_keys_is_finished_as_it_was(run: Path, tmp_path: Path) -> None:
    config = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["maskrcnn"]["config"]
    old = stripped(run, tmp_path / "checkpoints" / "last.ckpt", "data.stretch", "out_of_memory")
    with pytest.warns(UserWarning, match="last.ckpt"):
        scores = finished(str(old.parent.parent), config)
    assert scores is not None
    assert scores == pytest.approx(finished(str(run), config), rel=0, abs=0, nan_ok=True)


def test_any_other_key_that_is_missing_is_refused_by_name(run: Path, tmp_path: Path) -> None:
    cut = stripped(run, tmp_path / "cut.ckpt", "model.box_head.min_size")
    with pytest.raises(ValueError, match=r"^the configuration in .*cut\.ckpt: 'model\.box_head\.min_size' is missing"):
        restore(cut, [], [])
    loaded = torch.load(cut, weights_only=True)
    loaded["maskrcnn"]["config"]["model"]["box_head"] |= {"min_size": 0.0, "from_tomorrow": 1}
    torch.save(loaded, cut)
    newer = r"unknown key 'model\.box_head\.from_tomorrow'.*; a newer version of maskrcnn may have written it$"
    with pytest.raises(ValueError, match=newer):
        restore(cut, [], [])


@pytest.mark.parametrize(("part", "key", "value"), [("rpn", "convs", 10**9), ("neck", "channels", 10**4)])
def test_a_model_far_larger_than_the_file_is_not_made(
    run: Path, tmp_path: Path, part: str, key: str, value: int
) -> None:
    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    loaded["maskrcnn"]["config"]["model"][part][key] = value
    torch.save(loaded, tmp_path / "huge.ckpt")
    with pytest.raises(ValueError, match=r"huge\.ckpt was not opened: .* more than 10 times as many weights as the"):
        restore(tmp_path / "huge.ckpt", [], [])
    restore(run / "checkpoints" / "last.ckpt", [], [])  # nothing is counted any more


def test_a_model_that_another_thread_makes_meanwhile_is_not_counted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build_beside(*node: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.nn.Linear, 2000, 2000).result().weight.shape == (2000, 2000)
        return build(*node)

    monkeypatch.setattr("maskrcnn.engine.restore.build", build_beside)
    restore(run / "checkpoints" / "last.ckpt", [], [])


def test_a_changed_plugin_is_told_and_a_key_that_it_gained_can_be_given(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gains.py").write_text(
        "from maskrcnn.modeling.sampler import RoISampler\n\n\nclass Mine(RoISampler):\n"
        "    def __init__(self, num_classes: int, *, gained: int = 1, **others: object) -> None:\n"
        "        super().__init__(num_classes, **others)\n        self.gained = gained\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "run" / "checkpoints" / "own.ckpt"
    path.parent.mkdir(parents=True)
    loaded = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    loaded["maskrcnn"]["config"]["model"]["sampler"]["_target_"] = "gains.Mine"
    torch.save(loaded, path)
    receipt = receipt_file.read(run)
    receipt["starts"][-1]["versions"]["plugin gains"] = "of then"
    receipt_file.write(tmp_path / "run", receipt)
    with pytest.warns(UserWarning, match=r"^the code of plugin gains changed since .*own\.ckpt was trained$"):
        restored = restore(path, ["model.sampler.gained=3"], ["gains"])
    assert restored.model.sampler.gained == 3
    with (
        pytest.warns(UserWarning, match="gains"),
        pytest.raises(ValueError, match=r"unknown key 'model\.sampler\.gainde'"),
    ):
        restore(path, ["model.sampler.gainde=3"], ["gains"])
