"""Checkpoints: what they hold, how they are written, and read without running any code of theirs."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from torch import Tensor

from maskrcnn.config.later import renew
from maskrcnn.modeling.tensor_file import read_tensors
from maskrcnn.modeling.weights import check_fit
from maskrcnn.whole_file import replacing

FORMAT = 1


def content(config: dict[str, Any], classes: list[str], category_ids: list[int | str]) -> dict[str, Any]:
    """What a checkpoint holds besides Lightning's state: plain values only, so that `weights_only` loads it.

    Args:
        config: the resolved configuration, with preprocessing and conventions; classes, category_ids: by label.
    """
    return {"format": FORMAT, "config": config, "classes": list(classes), "category_ids": list(category_ids)}


def read(path: str | Path) -> dict[str, Any]:
    """A checkpoint of this project, on the CPU; keys of the configuration that came after it are added, see
    `maskrcnn.config.later`.

    Raises:
        ValueError: the file is missing, cut short, of another kind, or holds anything but tensors and plain values.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(
            f"checkpoint={path} is a folder; name the file in it, such as {path / 'checkpoints' / 'best.ckpt'}"
        )
    if not path.is_file():
        beside = sorted(file.name for file in path.parent.glob("*.ckpt"))
        raise ValueError(f"there is no checkpoint {path}" + (f"; beside it lies {', '.join(beside)}" if beside else ""))
    checkpoint = read_tensors(path, str(path), "a checkpoint")
    if not isinstance(checkpoint, dict) or "maskrcnn" not in checkpoint:
        raise ValueError(
            f"{path} is not a checkpoint of this project; to start from foreign weights use weights={path}"
        )
    content = checkpoint["maskrcnn"]
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ValueError(f"{path} has format {found}, this version reads {FORMAT}")
    if not _is_whole(content, checkpoint.get("state_dict")):
        raise ValueError(f"{path} lacks a part of a checkpoint: copy it again from where it was made")
    content["config"] = renew(content["config"], path)
    return checkpoint


def _is_whole(content: dict[str, Any], state: Any) -> bool:
    """Whether all parts are there, and of their type."""
    kinds = (("config", dict), ("classes", list), ("category_ids", list))
    if not isinstance(state, dict) or not all(isinstance(content.get(key), kind) for key, kind in kinds):
        return False
    parts = [content["config"].get(key) for key in ("model", "data", "callbacks")]
    texts = [*state, *content["classes"]]
    return all(isinstance(one, dict) for one in parts) and all(isinstance(one, str) for one in texts)


def model_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The model's weights in a checkpoint, by the model's own keys."""
    return {
        key.removeprefix("model."): value for key, value in checkpoint["state_dict"].items() if key.startswith("model.")
    }


def load_state(model: torch.nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Loads weights, all of them.

    Raises:
        OtherArchitecture: keys or shapes differ; the message names the first few.
    """
    check_fit(model.state_dict(), state, model.state_dict(), Path(path), str(path))
    model.load_state_dict(state)


class CheckpointFile(TorchCheckpointIO):
    """How Lightning writes and reads checkpoints: whole or not at all, and without running code.

    Its own way writes in the system's temporary folder and moves, which copies where that is another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint.

        Raises:
            OSError: it could not be written; names the file, and says that the one before is whole.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(path) as part, part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())  # or a crash after the rename leaves an empty file
        except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
            before = f"; {path} is whole, as written before: make room and go on with resume=" if path.exists() else ""
            raise OSError(f"could not write {path} ({error}){before}") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a checkpoint, never with code in it, whatever is asked."""
        return super().load_checkpoint(path, map_location, weights_only=True)
