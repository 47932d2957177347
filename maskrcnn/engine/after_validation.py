"""Tells somebody of each validation's mask AP."""

from collections.abc import Callable
from typing import cast

import pytorch_lightning as pl

from maskrcnn.engine.module import MaskRCNNModule


class AfterValidation(pl.Callback):
    """Calls a function after each validation; what it raises ends the run.

    Args:
        tell: is given the number of epochs so far, the mask AP, and whether it was the last step.
    """

    def __init__(self, tell: Callable[[int, float, bool], None]) -> None:
        self.tell = tell

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = trainer.callback_metrics.get("segm/AP")
        if score is not None and not trainer.sanity_checking:
            over = trainer.global_step >= cast(MaskRCNNModule, pl_module).total_steps
            self.tell(trainer.current_epoch + 1, float(score), over)
