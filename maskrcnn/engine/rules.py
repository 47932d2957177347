"""Values of different parts of a configuration that must fit together: checked before data is read."""

import difflib
import math
import os
import shutil
import sys
import warnings
from typing import Any

import torch

from maskrcnn.config.suggest import did_you_mean
from maskrcnn.engine.optimizer import REFERENCE_BATCH
from maskrcnn.evaluation.tables import IOU_TYPES

SGD_RATE = 0.02  # for REFERENCE_BATCH pictures, as in the paper
FEWEST = 4  # pictures that batch norm needs


def check_channels(config: dict[str, Any]) -> None:
    """Makes sure that the model normalises as many channels as pictures have, before any is read.

    Args:
        config: the resolved configuration.

    Raises:
        ValueError: it does not; the message says what to set.
    """
    channels = config["data"]["channels"]
    if min(config["model"]["pixel_std"], default=1) <= 0:
        raise ValueError(f"model.pixel_std is {config['model']['pixel_std']}; every channel needs a value above 0")
    for name in ("pixel_mean", "pixel_std"):
        values = config["model"][name]
        if len(values) != channels:
            raise ValueError(
                f"model.{name} has {len(values)} values, but data.channels is {channels}: give model.pixel_mean and "
                f"model.pixel_std {channels} each, of the training pictures' channels in 0..255, such as "
                f"model.{name}=[{','.join(['127.5'] * channels)}]; or change data.channels"
            )


def check_rules(config: dict[str, Any]) -> None:
    """Refuses what cannot work, and warns of what people seldom mean, before data is read.

    Args:
        config: the resolved configuration of a training run.

    Raises:
        ValueError: of one of `REFUSED`.
    """
    for rule in REFUSED:
        sentence = rule(config)
        if sentence is not None:
            raise ValueError(sentence)
    for rule in DOUBTED:
        sentence = rule(config)
        if sentence is not None:
            warnings.warn(sentence, stacklevel=2)


def no_gpu(config: dict[str, Any]) -> str | None:
    """A GPU is asked for where torch sees none."""
    if config["trainer"].get("accelerator") not in ("gpu", "cuda") or torch.accelerator.is_available():
        return None
    return (
        f"trainer.accelerator={config['trainer']['accelerator']}, but torch {torch.__version__} sees no GPU: give "
        "trainer=cpu, or install a driver and a torch for it"
    )


def half_precision(config: dict[str, Any]) -> str | None:
    """float16 is for GPUs."""
    precision = str(config["trainer"].get("precision"))
    if config["trainer"].get("accelerator") != "cpu" or precision not in ("16", "16-mixed", "16-true"):
        return None
    return f"trainer.precision={precision} needs a GPU: give trainer=gpu, or on a CPU 32-true or bf16-mixed"


def synchronised_batch_norm(config: dict[str, Any]) -> str | None:
    """torch synchronises batch norm between GPUs only."""
    if config["trainer"].get("accelerator") != "cpu" or not config["trainer"].get("sync_batchnorm"):
        return None
    return (
        "trainer.sync_batchnorm=true needs GPUs: give trainer.accelerator=gpu, or leave it out, and where batches are "
        "small give the parts of the model norm=group"
    )


def double_precision(config: dict[str, Any]) -> str | None:
    """What is to be learnt stays in float32."""
    precision = str(config["trainer"].get("precision"))
    if precision not in ("64", "64-true"):
        return None
    return f"trainer.precision={precision}: targets are computed in 32 bits; give 32-true or bf16-mixed"


def lightnings_overfitting(config: dict[str, Any]) -> str | None:
    """Lightning takes the order of the pictures away for it, by which a run is repeatable."""
    if not config["trainer"].get("overfit_batches"):
        return None
    return "trainer.overfit_batches is not for this trainer: debug=overfit learns a few pictures by heart"


def unknown_metric(config: dict[str, Any]) -> str | None:
    """What a callback watches is nearly the name of a metric, but none; it would be told after the first validation."""
    if config["plugins"]:  # which may log what they like
        return None
    callbacks = {name: one for name, one in config["callbacks"].items() if isinstance(one, dict)}
    names = ["train/loss", "val/loss"] + [
        f"{part}/{loss}" for part in ("train", "val") for loss in config["loss_weights"]
    ]
    by_class: dict[str, bool] = {}  # how names begin that end in a class, and whether these are logged
    for one in [*callbacks.values(), *(one.get("mean_ap") for one in callbacks.values())]:
        if isinstance(one, dict) and one.get("_target_") == "maskrcnn.engine.mean_ap.MeanAP":
            counts = (1, 10, one["max_detections"])
            numbers = [*(f"{name}{size}" for name in ("AP", "AR") for size in "sml"), *(f"AR{n}" for n in counts)]
            names += [
                f"{one['prefix']}{kind}/{number}" for kind in IOU_TYPES for number in ("AP", "AP50", "AP75", *numbers)
            ]
            by_class |= {f"{one['prefix']}{kind}/AP/": one["per_class"] for kind in IOU_TYPES}
    for name, one in callbacks.items():
        watched = str(one.get("monitor"))
        meant = difflib.get_close_matches(watched, names, n=1)
        logged = [logs for start, logs in by_class.items() if watched.startswith(start)]
        if not by_class and watched.startswith(tuple(f"{kind}/" for kind in IOU_TYPES)):
            return (
                f"callbacks.{name}.monitor is {watched!r}, which callbacks.mean_ap=null does not log: leave that out, "
                f"give callbacks.{name}=null too, or callbacks.{name}.monitor=val/loss callbacks.{name}.mode=min"
            )
        if "monitor" not in one or watched in names or any(logged) or not (logged or meant):
            continue
        remedy = "Give callbacks.mean_ap.per_class=true" if logged else did_you_mean(meant)
        return f"callbacks.{name}.monitor is {watched!r}, which is not logged. {remedy}"
    return None


def unlogged_loss(config: dict[str, Any]) -> str | None:
    """What a callback watches is a loss of the validation pictures, which is not logged after each validation."""
    losses = config["callbacks"].get("validation_losses")
    if losses is not None:
        checked = config["trainer"].get("check_val_every_n_epoch", 1)
        if (1 if checked is None else checked) % losses["every_n_epochs"] == 0:
            return None
    for name, one in config["callbacks"].items():
        if isinstance(one, dict) and one.get("monitor") in {
            f"val/{loss}" for loss in ("loss", *config["loss_weights"])
        }:
            where = f"callbacks.{name}.monitor is {one['monitor']!r}, which "
            if losses is None:
                return where + "callbacks.validation_losses=null does not log: leave that out, or watch another metric"
            return where + (
                f"callbacks.validation_losses.every_n_epochs={losses['every_n_epochs']} does not log after each "
                "validation: give 1"
            )
    return None


def recorded_steps(config: dict[str, Any]) -> str | None:
    """What CUDA graphs cannot record, or was not tried."""
    trainer = config["trainer"]
    if not config["cuda_graphs"]:
        return None
    if trainer.get("accelerator") not in ("gpu", "cuda") or not torch.cuda.is_available():
        return "cuda_graphs=true records the work of a CUDA GPU: give trainer=gpu, or cuda_graphs=false"
    devices = trainer.get("devices")
    several = len(devices) > 1 if isinstance(devices, list) else devices != 1 and torch.cuda.device_count() > 1
    if several or trainer.get("num_nodes", 1) != 1:
        return "cuda_graphs=true is for one GPU: give trainer.devices=1 trainer.num_nodes=1, or cuda_graphs=false"
    for key, value in (("compile", config["compile"]), ("trainer.detect_anomaly", trainer.get("detect_anomaly"))):
        if value:
            return f"{key}=true cannot go with cuda_graphs=true: give one of them"
    if config["out_of_memory"]["action"] == "split":
        return (
            "out_of_memory.action=split cannot go with cuda_graphs=true, which fixes the memory of a step: give "
            "out_of_memory.action=stop or cuda_graphs=false"
        )
    return None


def no_compiler(config: dict[str, Any]) -> str | None:
    """What torch's inductor compiles for a CPU, a C++ compiler is to make."""
    compiler = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    if not config["compile"] or config["trainer"].get("accelerator") != "cpu" or shutil.which(compiler):
        return None
    return (
        f"compile=true needs a C++ compiler, and there is no {compiler}: install one, name yours in the environment's "
        "CXX, or give compile=false"
    )


def canvas_size(config: dict[str, Any]) -> str | None:
    """A canvas that no resized picture fits on: its longer side has at least the resize's shortest, unless capped."""
    canvases, resize = config["data"]["canvases"], config["data"]["resize"]
    if resize["_target_"] != "maskrcnn.data.resize.Resize" or not canvases:
        return None
    least = min([*resize["shortest"], resize["longest"]])
    if max(side for canvas in canvases for side in canvas) >= least:
        return None
    return (
        f"no picture fits on data.canvases={canvases}: data.resize makes sides of {least} and more; give larger "
        "canvases, data.canvases=[] for any, or a smaller data.resize"
    )


def narrow_shortcut(config: dict[str, Any]) -> str | None:
    """Where torch 2.13's oneDNN writes beyond its memory: the backward of a 1x1 convolution of stride 2 with 8 channels
    or fewer, with AVX-512. 12 and more were sound.
    """
    backbone = config["model"]["backbone"]
    if backbone.get("block") != "basic" or backbone["width"] > 8 or config["trainer"].get("accelerator") != "cpu":
        return None
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or "ONEDNN_MAX_CPU_ISA" in os.environ:
        return None
    return (
        f"model.backbone.width={backbone['width']} makes torch crash on this CPU (oneDNN with AVX-512): give 12 or "
        "more, or set ONEDNN_MAX_CPU_ISA=AVX2 in the environment"
    )


def learning_rate(config: dict[str, Any]) -> str | None:
    """SGD's linear rule (arXiv 1706.02677): 0.02 for 16 pictures a step, within a factor of 10; from weights, which a
    low rate keeps, down to a hundredth.
    """
    optimizer, trainer = config["optimizer"], config["trainer"]
    counts = [config["data"]["batch_size"], trainer.get("accumulate_grad_batches", 1), trainer.get("devices", 1),
              trainer.get("num_nodes", 1)]  # fmt: skip
    if optimizer["algorithm"]["_target_"] != "torch.optim.SGD" or not all(isinstance(count, int) for count in counts):
        return None
    pictures = math.prod(counts)
    usual = SGD_RATE * pictures / REFERENCE_BATCH
    rate = optimizer["lr"] * pictures / REFERENCE_BATCH if optimizer["scale_lr"] else optimizer["lr"]
    least = usual / (10 if config["weights"] is None else 100)
    if pictures < 1 or least < rate < usual * 10:
        return None
    advice = f"optimizer.lr={SGD_RATE}" if optimizer["scale_lr"] else f"optimizer.scale_lr=true optimizer.lr={SGD_RATE}"
    return (
        f"the learning rate is {rate:.3g} for {pictures} pictures a step, where SGD usually has about {usual:.3g}: "
        f"{advice} gives that"
    )


def small_batch_norm(config: dict[str, Any]) -> str | None:
    """Batch norm over too few pictures to know mean and variance (arXiv 1803.08494, figure 1)."""
    parts = [part for part in config["model"] if _normalises(config["model"][part])]
    size = config["data"]["batch_size"]
    if not parts or not 1 <= size < FEWEST or config["trainer"].get("sync_batchnorm"):
        return None
    return (
        f"batch norm in model.{', model.'.join(parts)} sees only data.batch_size={size} pictures at a time: take "
        f"{FEWEST} or more, norm=group there, or norm=frozen with pretrained weights"
    )


def frozen_without_weights(config: dict[str, Any]) -> str | None:
    """Frozen layers that were never trained."""
    backbone = config["model"]["backbone"]
    frozen = ["norm=frozen"] if backbone.get("norm") == "frozen" else []
    frozen += [f"frozen_stages={backbone['frozen_stages']}"] if backbone.get("frozen_stages") else []
    if config["weights"] is not None or config["resume"] is not None or not frozen:
        return None
    return (
        f"model.backbone.{' and '.join(frozen)} without weights keeps what was drawn at random: give weights=..., or "
        "model.backbone.norm=batch model.backbone.frozen_stages=0"
    )


def few_regions(config: dict[str, Any]) -> str | None:
    """The second stage is to learn from more regions than there are."""
    regions, wanted = config["model"]["rpn"].get("train_post_nms"), config["model"]["sampler"].get("batch_per_image")
    if regions is None or wanted is None or regions >= wanted:
        return None
    return (
        f"model.sampler.batch_per_image={wanted} is more than the model.rpn.train_post_nms={regions} regions a "
        "picture: raise train_post_nms, or lower batch_per_image"
    )


def no_validation(config: dict[str, Any]) -> str | None:
    """A run that ends before its first validation has no AP, and no best checkpoint."""
    trainer, epochs = config["trainer"], config["trainer"].get("max_epochs") or -1
    every = trainer.get("check_val_every_n_epoch") or 1
    if not config["callbacks"].get("best") or not 0 < epochs < every or trainer.get("limit_val_batches") == 0:
        return None
    return (
        f"trainer.check_val_every_n_epoch={every} is more than trainer.max_epochs={epochs}: there will be no "
        f"validation, no AP, and no best.ckpt but last.ckpt only; give at most {epochs}"
    )


def _normalises(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    return part.get("norm") == "batch" or any(map(_normalises, part.values()))


REFUSED = (
    no_gpu, half_precision, synchronised_batch_norm, double_precision, lightnings_overfitting, unknown_metric,
    unlogged_loss, recorded_steps, no_compiler, canvas_size, narrow_shortcut,
)  # fmt: skip
DOUBTED = (learning_rate, small_batch_norm, frozen_without_weights, few_regions, no_validation)
