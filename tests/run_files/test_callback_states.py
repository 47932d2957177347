"""A run that goes on elsewhere keeps its best checkpoint, and early stopping the patience that is asked for now."""

from pathlib import Path

import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from maskrcnn.run_files.callback_states import fit_states


def best_in(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(dirpath=folder, filename="best", monitor="segm/AP", mode="max")


def kept(folder: Path, score: float) -> ModelCheckpoint:
    """A callback after a validation that it kept."""
    callback, file = best_in(folder), str(folder / "best.ckpt")
    callback.best_model_path = callback.kth_best_model_path = file
    callback.best_model_score = callback.kth_value = torch.tensor(score)
    callback.best_k_models = {file: torch.tensor(score)}
    return callback


def test_the_best_score_is_kept_where_a_runs_folder_was_moved(tmp_path: Path) -> None:
    before, now = kept(tmp_path / "before", 0.5), best_in(tmp_path / "now")
    (tmp_path / "now").mkdir()
    (tmp_path / "now" / "best.ckpt").touch()
    states = {before.state_key: before.state_dict()}
    assert fit_states([now], states) == []
    now.load_state_dict(states[now.state_key])
    assert now.best_k_models == {str(tmp_path / "now" / "best.ckpt"): torch.tensor(0.5)}
    assert now.best_model_path == now.kth_best_model_path == str(tmp_path / "now" / "best.ckpt")
    assert now.best_model_score == now.kth_value == torch.tensor(0.5)


def test_the_best_score_is_forgotten_with_its_file(tmp_path: Path) -> None:
    before = kept(tmp_path, 0.5)
    states = {before.state_key: before.state_dict()}
    assert fit_states([best_in(tmp_path)], states) == [
        f"{tmp_path}/best.ckpt of before is gone: the best checkpoint is sought from now on"
    ]
    assert states == {}


def test_the_patience_is_that_of_now() -> None:
    before, now = (EarlyStopping(monitor="segm/AP", mode="max", patience=patience) for patience in (1, 7))
    before.wait_count = 1
    states = {before.state_key: before.state_dict()}
    assert fit_states([now], states) == []
    now.load_state_dict(states[now.state_key])
    assert (now.patience, now.wait_count) == (7, 1)
