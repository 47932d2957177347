"""What a checkpoint says of Lightning's callbacks, fitted to the run that goes on with it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint


def fit_states(callbacks: Iterable[Callback], states: dict[str, Any]) -> list[str]:
    """Changes states so that early stopping has the patience of now, which it would take from the checkpoint, and the
    best scores so far hold in the run's folder of now; Lightning forgets them where that was moved.

    Scores whose files are all gone are forgotten: else nothing that is no better would ever be kept.

    Args:
        callbacks: of the run; states: of the checkpoint, by `state_key`, changed in place.

    Returns:
        What was forgotten, for people.
    """
    notes = []
    for callback in callbacks:
        state = states.get(callback.state_key)
        if state is not None and isinstance(callback, EarlyStopping):
            state["patience"] = callback.patience
        if state is not None and isinstance(callback, ModelCheckpoint):
            _move(state, str(callback.dirpath))
            files = [Path(path) for path in state["best_k_models"]]
            if files and not any(file.is_file() for file in files):
                del states[callback.state_key]
                gone = ", ".join(map(str, files))
                notes.append(f"{gone} of before is gone: the best checkpoint is sought from now on")
    return notes


def _move(state: dict[str, Any], folder: str) -> None:
    before, state["dirpath"] = str(state["dirpath"]), folder

    def moved(path: str) -> str:
        return path.replace(before, folder, 1)

    for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[name] = moved(state[name])
    state["best_k_models"] = {moved(path): score for path, score in state["best_k_models"].items()}
