"""Numbers of a configuration that mean nothing outside their range: checked before data is read."""

from typing import Any, NamedTuple

from maskrcnn.config.nested import at


class Limit(NamedTuple):
    """What a number may be."""

    least: float
    most: float
    words: str


SHARE = Limit(0, 1, "give a number from 0 to 1")
COUNT = Limit(1, float("inf"), "give 1 or more")
AMOUNT = Limit(0, float("inf"), "give 0 or more")
LIMITS: dict[str, Limit] = {
    "model.rpn.positive_iou": SHARE,
    "model.rpn.negative_iou": SHARE,
    "model.rpn.positive_fraction": SHARE,
    "model.rpn.nms_threshold": SHARE,
    "model.rpn.convs": AMOUNT,
    "model.rpn.batch_per_image": COUNT,
    "model.rpn.train_pre_nms": COUNT,
    "model.rpn.train_post_nms": COUNT,
    "model.rpn.test_pre_nms": COUNT,
    "model.rpn.test_post_nms": COUNT,
    "model.sampler.positive_iou": SHARE,
    "model.sampler.positive_fraction": SHARE,
    "model.sampler.batch_per_image": COUNT,
    "model.sampler.mask_slots": COUNT,
    "model.box_head.score_threshold": SHARE,
    "model.box_head.nms_threshold": SHARE,
    "loss_weights.rpn_objectness": AMOUNT,
    "loss_weights.rpn_box": AMOUNT,
    "loss_weights.classification": AMOUNT,
    "loss_weights.box": AMOUNT,
    "loss_weights.mask": AMOUNT,
    "optimizer.algorithm.momentum": SHARE,
    "schedule.warmup_steps": AMOUNT,
    "schedule.warmup_start": SHARE,
    "trainer.gradient_clip_val": AMOUNT,
    "trainer.log_every_n_steps": COUNT,
    "trainer.check_val_every_n_epoch": COUNT,
    "trainer.accumulate_grad_batches": COUNT,
    "model.backbone.width": COUNT,
    "callbacks.progress.every_n_steps": COUNT,
    "callbacks.early_stopping.patience": AMOUNT,
    # of other commands
    "score_threshold": SHARE,
    "batch_size": COUNT,
    "limit_mb": COUNT,
    "port": Limit(0, 65535, "give 0, for any that is free, to 65535"),
    "trials": COUNT,
    "startup_trials": AMOUNT,
}


def check_limits(config: dict[str, Any]) -> None:
    """Makes sure that numbers lie in their ranges; keys that are not there, or null, do not count.

    Args:
        config: the resolved configuration of a command.

    Raises:
        ValueError: one does not.
    """
    for key, limit in LIMITS.items():
        value = at(config, key)
        if isinstance(value, int | float) and not limit.least <= value <= limit.most:
            raise ValueError(f"{key} is {value}; {limit.words}")
