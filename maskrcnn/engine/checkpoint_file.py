"""Checkpoint files that are whole or not there: a full disk or a kill leaves the one before."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO


class CheckpointFile(TorchCheckpointIO):
    """Reads without running code; writes beside the target, then renames over it.

    Lightning's own way writes in the system's temporary folder and moves, which copies where that is another file
    system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint.

        Raises:
            OSError: it could not be written; names the file, and says that the one before is whole.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())  # or a crash after the rename leaves an empty file
            os.replace(part, path)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if not isinstance(error, (OSError, RuntimeError)):  # torch reports a failed write as a RuntimeError
                raise
            before = f"; {path} is whole, as written before: make room and go on with resume=" if path.exists() else ""
            raise OSError(f"could not write {path} ({error}){before}") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a checkpoint, never with code in it, whatever is asked."""
        return super().load_checkpoint(path, map_location, weights_only=True)
