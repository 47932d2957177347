"""Says why a run ended before its last epoch."""

from collections.abc import Iterable

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

from maskrcnn.engine.module import MaskRCNNModule


def why_stopped(trainer: pl.Trainer, module: MaskRCNNModule, callbacks: Iterable[Callback]) -> str | None:
    """A sentence for people; None if no early stopping ended the run.

    Args:
        trainer: after `fit`; module: what it trained; callbacks: of the run.
    """
    if not trainer.should_stop or trainer.global_step >= module.total_steps:
        return None
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            factor = module.schedule.factor(trainer.global_step, module.total_steps)
            reason = (callback.stopping_reason_message or "").removesuffix(" Signaling Trainer to stop.")
            return (
                f"stopped early, after step {trainer.global_step} of {module.total_steps}. {reason} The learning rate "
                f"was at {factor:.0%} of its peak; trainer.max_epochs={callback.stopped_epoch + 1} lets it fall in as "
                "many steps"
            )
    return None
