"""Where a run is in its epochs, as a checkpoint has it: between two optimiser steps, or before a validation."""

from typing import Any, NamedTuple


class Position(NamedTuple):
    """What was done, counted in batches of one rank."""

    batches: int  # over all epochs
    epoch_batches: int  # in an epoch
    accumulated: int  # batches in an optimiser step; the last of an epoch may have fewer
    validation_due: bool  # the validation after these batches is still to be run

    @property
    def epoch(self) -> int:
        """Epochs whose batches and validation are done."""
        return (self.batches - self.validation_due) // self.epoch_batches

    @property
    def batch(self) -> int:
        """Batches done of the epoch after those; all of them where only the validation is missing."""
        return self.batches - self.epoch * self.epoch_batches

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        epochs, rest = divmod(self.batches, self.epoch_batches)
        return epochs * -(-self.epoch_batches // self.accumulated) + rest // self.accumulated

    @property
    def within_step(self) -> bool:
        """Whether gradients of a step's first batches are under way, which no checkpoint holds."""
        return self.batches % self.epoch_batches % self.accumulated != 0

    def scaled(self, epoch_batches: int, accumulated: int) -> "Position":
        """The same share of the epoch, in batches of another size or data set, and between two steps of theirs.

        Rounded down: pictures of less than one step may come twice, none is left out.
        """
        epochs, rest = divmod(self.batches, self.epoch_batches)
        rest = rest * epoch_batches // self.epoch_batches // accumulated * accumulated
        return Position(epochs * epoch_batches + rest, epoch_batches, accumulated, self.validation_due)

    def write(self, fit_loop: dict[str, Any]) -> None:
        """Sets the counters of Lightning's loops, as a checkpoint holds them, to what it resumes exactly from.

        Its own differ from hook to hook, and it guesses from them what was going on: after an epoch's last step it
        takes the validation for done. That it runs one which is due, is its way with a validation cut short.
        """
        begun = self.epoch + (self.batch > 0)
        _count(fit_loop["epoch_progress"], begun, begun, self.epoch, self.epoch)
        trained = fit_loop["epoch_loop.batch_progress"]
        _count(trained, *[self.batch] * 4)
        trained["total"].update(dict.fromkeys(trained["total"], self.batches))
        trained["is_last_batch"] = self.batch == self.epoch_batches
        validated = fit_loop["epoch_loop.val_loop.batch_progress"]
        _count(validated, int(self.validation_due), int(self.validation_due), 0, 0)
        validated["is_last_batch"] = False
        fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = self.step

    def write_step(self, fit_loop: dict[str, Any]) -> None:
        """Sets Lightning's count of optimiser steps, where they are counted anew."""
        optimizer = fit_loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
        optimizer["step"]["total"].update(ready=self.step, completed=self.step)


def _count(progress: dict[str, Any], ready: int, started: int, processed: int, completed: int) -> None:
    for part in (progress["total"], progress["current"]):
        part.update(ready=ready, started=started, processed=processed, completed=completed)
