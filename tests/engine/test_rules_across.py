"""Values of different parts that do not fit together."""

import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from maskrcnn.config.build import build
from maskrcnn.config.compose import compose, to_plain
from maskrcnn.config.limits import LIMITS, check_limits
from maskrcnn.config.nested import keys
from maskrcnn.engine.rules import check_rules

SMALL = "batch norm in model.backbone, model.neck, model.box_head, model.mask_head sees only data.batch_size=2 pictures"


def refused_or_doubted(*overrides: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_rules(to_plain(compose(overrides)))
        except ValueError as error:
            return [f"error: {error}"]
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        pytest.param(
            ["trainer=gpu"],
            f"error: trainer.accelerator=gpu, but torch {torch.__version__} sees no GPU: give trainer=cpu, or install "
            "a driver and a torch for it",
            marks=pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU"),
        ),
        (
            ["trainer.precision=16-mixed"],
            "error: trainer.precision=16-mixed needs a GPU: give trainer=gpu, or on a CPU 32-true or bf16-mixed",
        ),
        (
            ["callbacks.best.monitor=val/loss", "callbacks.validation_losses=null"],
            "error: callbacks.best.monitor is 'val/loss', which callbacks.validation_losses=null does not log: leave "
            "that out, or watch another metric",
        ),
        (
            [
                "callbacks=early_stopping",
                "callbacks.early_stopping.monitor=val/mask",
                "callbacks.validation_losses.every_n_epochs=2",
            ],
            "error: callbacks.early_stopping.monitor is 'val/mask', which "
            "callbacks.validation_losses.every_n_epochs=2 does not log after each validation: give 1",
        ),
        (
            ["trainer=ddp", "trainer.sync_batchnorm=true"],
            "error: trainer.sync_batchnorm=true needs GPUs: give trainer.accelerator=gpu, or leave it out, and where "
            "batches are small give the parts of the model norm=group",
        ),
        (
            ["trainer.precision=64-true"],
            "error: trainer.precision=64-true: targets are computed in 32 bits; give 32-true or bf16-mixed",
        ),
        (
            ["cuda_graphs=true"],
            "error: cuda_graphs=true records the work of a CUDA GPU: give trainer=gpu, or cuda_graphs=false",
        ),
        (
            ["data.canvases=[[128, 160]]"],
            "error: no picture fits on data.canvases=[[128, 160]]: data.resize makes sides of 192 and more; give "
            "larger canvases, data.canvases=[] for any, or a smaller data.resize",
        ),
        (
            ["optimizer=sgd", "optimizer.lr=0.2"],
            "the learning rate is 0.05 for 4 pictures a step, where SGD usually has about 0.005: optimizer.lr=0.02 "
            "gives that",
        ),
        (
            ["optimizer=sgd", "optimizer.scale_lr=false", "optimizer.lr=0.0005"],
            "the learning rate is 0.0005 for 4 pictures a step, where SGD usually has about 0.005: "
            "optimizer.scale_lr=true optimizer.lr=0.02 gives that",
        ),
        (
            ["optimizer=sgd", "optimizer.lr=0.0001", "weights=some.pth"],  # a lower one is meant, but not that low
            "the learning rate is 2.5e-05 for 4 pictures a step, where SGD usually has about 0.005: optimizer.lr=0.02 "
            "gives that",
        ),
        (
            ["data.batch_size=2"],
            f"{SMALL} at a time: take 4 or more, norm=group there, or norm=frozen with pretrained weights",
        ),
        (
            ["model.backbone.norm=frozen", "model.backbone.frozen_stages=2"],
            "model.backbone.norm=frozen and frozen_stages=2 without weights keeps what was drawn at random: give "
            "weights=..., or model.backbone.norm=batch model.backbone.frozen_stages=0",
        ),
        (
            ["model.sampler.batch_per_image=101"],
            "model.sampler.batch_per_image=101 is more than the model.rpn.train_post_nms=100 regions a picture: "
            "raise train_post_nms, or lower batch_per_image",
        ),
        (
            ["callbacks=early_stopping", "callbacks.early_stopping.monitor=segm/AP57"],
            "error: callbacks.early_stopping.monitor is 'segm/AP57', which is not logged. Did you mean segm/AP75?",
        ),
        (
            ["+trainer.overfit_batches=1"],
            "error: trainer.overfit_batches is not for this trainer: debug=overfit learns a few pictures by heart",
        ),
        (
            ["callbacks.mean_ap=null", "callbacks.pictures=null"],
            "error: callbacks.best.monitor is 'segm/AP', which callbacks.mean_ap=null does not log: leave that out, "
            "give callbacks.best=null too, or callbacks.best.monitor=val/loss callbacks.best.mode=min",
        ),
        (
            ["callbacks=ema", "callbacks.ema.monitor=ema/segm/ap"],
            "error: callbacks.ema.monitor is 'ema/segm/ap', which is not logged. Did you mean ema/segm/AP?",
        ),
        (
            ["callbacks=ema", "callbacks.ema.monitor=ema/bbox/AP/traffic light"],
            "error: callbacks.ema.monitor is 'ema/bbox/AP/traffic light', which is not logged. Give "
            "callbacks.mean_ap.per_class=true",
        ),
        (
            ["trainer.check_val_every_n_epoch=7"],
            "trainer.check_val_every_n_epoch=7 is more than trainer.max_epochs=3: there will be no validation, no AP, "
            "and no best.ckpt but last.ckpt only; give at most 3",
        ),
    ],
)
def test_each_rule_says_what_to_do(overrides: list[str], message: str) -> None:
    assert refused_or_doubted(*overrides) == [message]


def test_metrics_of_ones_own_are_not_refused() -> None:
    assert refused_or_doubted("callbacks.best.monitor=mine/score") == []
    assert refused_or_doubted("callbacks.best.monitor=val/loss", "callbacks.best.mode=min") == []
    every_other = ("callbacks.validation_losses.every_n_epochs=2", "trainer.check_val_every_n_epoch=2")
    assert refused_or_doubted("callbacks.best.monitor=val/loss", "callbacks.best.mode=min", *every_other) == []
    assert refused_or_doubted("callbacks.best.monitor=bbox/AR30") == []
    assert refused_or_doubted("callbacks.best.monitor=bbox/AP/star", "callbacks.mean_ap.per_class=true") == []
    assert refused_or_doubted("callbacks.best.monitor=val/my_loss", "plugins=[mine]") == []


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["experiment=coco_r50_fpn_1x", "data.root=x", "trainer=gpu", "trainer.devices=8"],
        ["experiment=coco_r50_fpn_1x", "data.root=x", "trainer.devices=auto", "optimizer.lr=9"],  # not known how many
        ["debug=fast"],
        ["optimizer=sgd", "optimizer.lr=0.19"],
        ["optimizer=sgd", "optimizer.lr=0.001", "weights=some.pth"],
        ["trainer=gpu", "trainer.precision=16-mixed"],
        ["trainer.precision=bf16-mixed"],
        ["data.batch_size=2", "trainer=gpu", "trainer.sync_batchnorm=true"],
        ["data.canvases=[[160, 192]]"],
        ["model.backbone.norm=frozen", "weights=some.pt"],
    ],
)
def test_what_is_usual_passes(overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert refused_or_doubted(*overrides) == []


def test_a_narrow_backbone_is_refused_where_torch_would_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert refused_or_doubted("model.backbone.width=8") == [
        "error: model.backbone.width=8 makes torch crash on this CPU (oneDNN with AVX-512): give 12 or more, or set "
        "ONEDNN_MAX_CPU_ISA=AVX2 in the environment"
    ]
    assert refused_or_doubted("model.backbone.width=12") == []
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert refused_or_doubted("model.backbone.width=8") == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr=-1", "optimizer.lr is -1; give more than 0"),
        ("optimizer.weight_decay=-0.1", "optimizer.weight_decay is -0.1; give 0, which is off, or more"),
        ("optimizer.layer_decay=2", "optimizer.layer_decay is 2; give more than 0 and at most 1, which is off"),
        ("data.batch_size=0", "data.batch_size is 0; give 1 or more"),
        ("data.workers=-1", "data.workers is -1; give 0, which makes samples in the training process, or more"),
    ],
)
def test_a_number_out_of_range_is_refused_with_its_key(override: str, message: str) -> None:
    config = to_plain(compose([override]))
    assert refused_or_doubted(override) == []  # nothing comes before that
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build(config[override.partition(".")[0]], [], override.partition(".")[0])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.box_head.score_threshold=1.5", "model.box_head.score_threshold is 1.5; give a number from 0 to 1"),
        ("model.rpn.positive_iou=7", "model.rpn.positive_iou is 7; give a number from 0 to 1"),
        ("model.rpn.convs=-1", "model.rpn.convs is -1; give 0 or more"),
        ("model.sampler.mask_slots=0", "model.sampler.mask_slots is 0; give 1 or more"),
        ("loss_weights.mask=-1", "loss_weights.mask is -1; give 0 or more"),
        ("callbacks.progress.every_n_steps=0", "callbacks.progress.every_n_steps is 0; give 1 or more"),
        ("trainer.log_every_n_steps=0", "trainer.log_every_n_steps is 0; give 1 or more"),
        ("trainer.gradient_clip_val=-5", "trainer.gradient_clip_val is -5; give 0 or more"),
    ],
)
def test_a_number_that_means_nothing_is_refused_before_data_is_read(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_limits(to_plain(compose([override])))
    check_limits(to_plain(compose([override.partition("=")[0] + "=1"])))


@pytest.mark.parametrize(
    ("command", "override", "message"),
    [
        ("drop", "port=99999", "port is 99999; give 0, for any that is free, to 65535"),
        ("drop", "limit_mb=-1", "limit_mb is -1; give 1 or more"),
        ("evaluate", "score_threshold=-1", "score_threshold is -1; give a number from 0 to 1"),
        ("predict", "batch_size=0", "batch_size is 0; give 1 or more"),
        ("search", "trials=0", "trials is 0; give 1 or more"),
    ],
)
def test_numbers_of_other_commands_are_refused(command: str, override: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_limits(to_plain(compose([override], command)))
    check_limits(to_plain(compose([], command)))


def test_limits_are_of_keys_that_exist() -> None:
    composed = [compose(), compose(["optimizer=sgd", "callbacks=early_stopping"])]
    composed += [compose([], command) for command in ("drop", "evaluate", "predict", "search")]
    known = {key for config in composed for key in keys(to_plain(config))}
    assert LIMITS.keys() <= known
    for experiment in ("coco_r50_fpn_1x", "nuclei"):
        check_limits(to_plain(compose([f"experiment={experiment}", "data.root=x"])))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.neck.channels=0", "model.neck.channels is 0; give 1 or more"),
        ("model.box_head.max_detections=0", "model.box_head.max_detections is 0; give 1 or more"),
    ],
)
def test_a_size_of_nothing_is_refused_with_its_key(override: str, message: str) -> None:
    make = build(to_plain(compose([override]))["model"], [], "model")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(1, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.devices=2", "cuda_graphs=true is for one GPU: give trainer.devices=1 trainer.num_nodes=1, or "),
        ("trainer.devices=[0,1]", "cuda_graphs=true is for one GPU: give trainer.devices=1 trainer.num_nodes=1, or "),
        ("trainer.devices=auto", "cuda_graphs=true is for one GPU: give trainer.devices=1 trainer.num_nodes=1, or "),
        ("compile=true", "compile=true cannot go with cuda_graphs=true: give one of them"),
        ("+trainer.detect_anomaly=true", "trainer.detect_anomaly=true cannot go with cuda_graphs=true: give one of"),
        ("out_of_memory.action=split", "out_of_memory.action=split cannot go with cuda_graphs=true, which fixes"),
    ],
)
def test_what_recorded_steps_cannot_go_with(override: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    [said] = refused_or_doubted("trainer=gpu", "cuda_graphs=true", override)
    assert said.startswith(f"error: {message}")
    assert not refused_or_doubted("trainer=gpu", "cuda_graphs=true", "trainer.devices=[1]")


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", sys.executable)
    assert refused_or_doubted("compile=true") == []
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert refused_or_doubted() == []
    assert refused_or_doubted("compile=true") == [
        "error: compile=true needs a C++ compiler, and there is no /nowhere/g++: install one, name yours in the "
        "environment's CXX, or give compile=false"
    ]


def test_too_few_regions_are_told_once(fit: Callable[..., dict[str, float]], tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        few = ("model.rpn.test_post_nms=20", "model.rpn.test_pre_nms=20")
        fit(tmp_path / "run", "trainer.max_steps=1", "trainer.limit_val_batches=0", "logger=csv", *few)
    told = [str(one.message) for one in caught if "regions a picture" in str(one.message)]
    assert told == [
        "model.rpn.test_post_nms gives 20 regions a picture, fewer than the 30 of model.box_head.max_detections: raise "
        "it as well"
    ]
