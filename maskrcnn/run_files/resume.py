"""Going on with a run in its own folder, also under a changed configuration."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from maskrcnn.config.identity import essence
from maskrcnn.config.nested import changes
from maskrcnn.config.printable import printable
from maskrcnn.config.run_dir import check_resume, last_checkpoint
from maskrcnn.run_files import checkpoint
from maskrcnn.run_files.callback_states import fit_states
from maskrcnn.run_files.position import Position


def resolve(resume: str | None, run_dir: str) -> str | None:
    """The folder to go on with; `auto` is the run's own, if it has something to go on with.

    Raises:
        ValueError: a new run would write over another one, or a resumed one has nothing to go on with.
    """
    if resume == "auto":
        resume = run_dir if last_checkpoint(run_dir).is_file() else None
    kept = sorted(Path(run_dir).glob("checkpoints/*.ckpt"))
    if resume is None and kept:
        last = last_checkpoint(run_dir)
        if last in kept:
            further = f"resume={run_dir} goes on with it, another run_dir starts afresh"
        else:
            further = (
                f"give another run_dir. There is no {last} to go on from; weights={kept[0]} starts from what is there"
            )
        raise ValueError(f"run_dir={run_dir} holds a run already: {further}")
    if resume is not None:
        check_resume(resume)
    return resume


def read(resume: str) -> dict[str, Any]:
    """The checkpoint to go on from.

    Raises:
        ValueError: of `checkpoint.read`; or it does not say where its run was.
    """
    path = last_checkpoint(resume)
    try:
        loaded = checkpoint.read(path)
    except ValueError as error:
        best = path.with_name("best.ckpt")
        further = f". weights={best} starts another run from the best state" if best.is_file() else ""
        raise ValueError(f"{error}{further}") from error
    if "progress" not in loaded:
        raise ValueError(
            f"{path} does not say where its run was, so that it cannot go on; weights={path} starts another run from it"
        )
    return loaded


def finished(resume: str, config: dict[str, Any]) -> dict[str, float] | None:
    """The last scores of a run that is at its end and is to go on without a change to its result; None for any other.

    Args:
        config: the configuration that it is to go on with.
    """
    loaded = read(resume)
    if not loaded["progress"]["finished"] or changes(essence(loaded["maskrcnn"]["config"]), essence(config)):
        return None
    scores: dict[str, float] = loaded["progress"]["scores"]
    return scores


class Resumption(pl.Callback):
    """Starts a run where its checkpoint was, under the configuration of now.

    The position is the checkpoint's, or the same share of an epoch that has other batches now; the optimiser keeps
    what it has learnt of the gradients, and takes its settings from the configuration; the learning rate is the
    schedule's at this step.

    Args:
        loaded: the checkpoint; config, classes: of now.
        epoch_batches: of one rank, accumulated: in an optimiser step, total_steps: of the run, all of now.

    Attributes:
        position: where the run goes on.
        notes: what differs, for people.

    Raises:
        ValueError: with other classes or another algorithm there is nothing to go on with; trainer.max_epochs is below
            the epochs done.
    """

    def __init__(
        self,
        loaded: dict[str, Any],
        config: dict[str, Any],
        classes: list[str],
        epoch_batches: int,
        accumulated: int,
        total_steps: int,
    ) -> None:
        progress, content = loaded["progress"], loaded["maskrcnn"]
        before = Position(**progress["position"])
        self.position = before.scaled(epoch_batches, accumulated)
        self.moved = self.position != before
        done = self.position.step >= total_steps and not self.position.validation_due
        self.over = done and progress["finished"]  # or a run that was killed in its report is still to write it
        if content["classes"] != classes:
            raise ValueError(
                f"resume: the run learns the classes {', '.join(content['classes'])}, but the data has "
                f"{', '.join(classes)}: start another run, with weights=<its checkpoint> from where this one is"
            )
        epochs = config["trainer"].get("max_epochs")
        if not self.over and epochs is not None and 0 <= epochs < self.position.epoch:
            raise ValueError(
                f"resume: {self.position.epoch} epochs of the run are done, more than trainer.max_epochs={epochs}: "
                f"give {self.position.epoch}, which ends it here, or more"
            )
        names = [one["optimizer"]["algorithm"]["_target_"] for one in (content["config"], config)]
        if names[0] != names[1]:
            raise ValueError(
                f"resume: the optimiser's state is {names[0]}'s and means nothing to {names[1]}: keep the optimizer, "
                "or start another run, with weights=<its checkpoint> from where this one is"
            )
        self.notes = [f"resumed with another {line}" for line in changes(content["config"], config)]
        if self.moved:
            self.notes.append(
                f"an epoch has {epoch_batches} batches and {-(-epoch_batches // accumulated)} steps instead of "
                f"{before.epoch_batches} and {-(-before.epoch_batches // before.accumulated)}: the run goes on at the "
                f"same share of its epoch, and step {before.step} counts as step {self.position.step}"
            )
        if progress["threads"] != torch.get_num_threads():
            self.notes.append(
                f"torch runs {torch.get_num_threads()} threads, {progress['threads']} when it was saved: the results "
                f"may differ in their last bits; OMP_NUM_THREADS={progress['threads']} keeps them"
            )
        self.settings: list[dict[str, Any]] = []
        self.max_steps = -1

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        fit_loop = checkpoint["loops"]["fit_loop"]
        self.position.write(fit_loop)
        if self.moved:
            self.position.write_step(fit_loop)
        checkpoint["progress"]["position"] = self.position._asdict()
        for note in fit_states(getattr(trainer, "callbacks"), checkpoint["callbacks"]):
            if trainer.is_global_zero:
                print(printable(note), flush=True)
        self.max_steps = trainer.max_steps
        if self.position.validation_due and 0 < self.max_steps <= self.position.step:
            trainer.fit_loop.epoch_loop.max_steps = self.position.step + 1  # or Lightning would not begin at all

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.fit_loop.epoch_loop.max_steps = self.max_steps

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        (optimizer,) = trainer.optimizers  # as configured; its state is loaded after this
        self.settings = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._configure_optimizer(trainer)
        loop = trainer.fit_loop.epoch_loop
        if self.position.batch == 0:
            loop.restarting = False  # with max_steps, Lightning would take the epoch for a begun one
        # After a batch that a validation follows it begins at that batch's end, where it counts the step.
        at_end = loop.restarting and loop._should_check_val_fx(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]
        loop._batches_that_stepped = trainer.global_step - int(at_end)

    def _configure_optimizer(self, trainer: pl.Trainer) -> None:
        (optimizer,) = trainer.optimizers
        scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
        before = [group["lr"] for group in optimizer.param_groups]
        scheduler.last_epoch = self.position.step
        scheduler.base_lrs = [settings["initial_lr"] for settings in self.settings]
        for group, settings, base, factor in zip(
            optimizer.param_groups, self.settings, scheduler.base_lrs, scheduler.lr_lambdas
        ):
            group.update(settings)
            group["lr"] = base * factor(self.position.step)
        scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]
        if before != scheduler._last_lr and trainer.is_global_zero:
            print(f"the learning rate goes on at {scheduler._last_lr[0]:.4g} instead of {before[0]:.4g}", flush=True)
