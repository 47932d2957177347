"""How long a run is, in batches and optimiser steps, and what its length leaves out."""

import math

import pytorch_lightning as pl


def epoch_steps(trainer: pl.Trainer, batches: int) -> int:
    """Optimiser steps of an epoch of `batches` batches."""
    return math.ceil(batches / trainer.accumulate_grad_batches)


def total_steps(trainer: pl.Trainer, batches: int) -> int:
    """Optimiser steps of the whole run, of `batches` batches an epoch; from the configuration alone, so that asking
    does not build the loaders before a resumed run has restored them.
    """
    if trainer.max_epochs in (None, -1):  # no limit: null only beside max_steps, or Lightning makes it 1,000
        return max(trainer.max_steps, 0)
    steps = epoch_steps(trainer, batches) * trainer.max_epochs
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


def left_out(trainer: pl.Trainer, batches: int, warmup: int) -> list[str]:
    """What a run is too short for, in sentences, with what to set.

    Args:
        trainer: of the run; batches: of an epoch, see `CocoDataModule.train_batches`.
        warmup: steps in which the learning rate rises.
    """
    steps, said = total_steps(trainer, batches), []
    # An epoch of so many batches, as of debug=fast, is to show that everything runs, not to learn.
    tried = isinstance(trainer.limit_train_batches, int) and trainer.max_epochs == 1
    if warmup >= steps and not tried:
        said.append(
            f"schedule.warmup_steps={warmup} is not over within the run's {steps} steps, so the learning rate is never "
            "reached: give a shorter warm-up"
        )
    if steps < trainer.max_steps:
        said.append(
            f"trainer.max_steps={trainer.max_steps} is not reached, as trainer.max_epochs={trainer.max_epochs} ends "
            f"the run after {steps} steps: for more give trainer.max_epochs=null as well"
        )
    interval = getattr(trainer, "log_every_n_steps")
    if interval > steps:
        said.append(
            f"trainer.log_every_n_steps={interval} is more than the run's {steps} steps: no training loss will be "
            f"shown or written; give at most {steps}"
        )
    whole = isinstance(trainer.val_check_interval, float) and trainer.val_check_interval == 1  # the int is a batch
    plain = whole and trainer.limit_val_batches != 0
    every = epoch_steps(trainer, batches) * (trainer.check_val_every_n_epoch or 0)
    if plain and every and steps == trainer.max_steps and steps % every:
        last = f"after step {steps - steps % every}" if steps > every else f"not before step {every}"
        epochs, rest = divmod(steps, epoch_steps(trainer, batches))
        read = epochs * batches + rest * trainer.accumulate_grad_batches  # an epoch's last step may be of fewer batches
        said.append(
            f"trainer.max_steps={steps} ends within an epoch, and the last validation is {last}: give a multiple of "
            f"{every}, or validate every so many batches by trainer.check_val_every_n_epoch=null "
            f"+trainer.val_check_interval={read}"
        )
    return said
