"""What tests share: caches of their own, the commands as a user starts them, and a trained run of a tiny model."""

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from maskrcnn.config.build import build
from maskrcnn.config.compose import check, compose, portable, to_plain
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.train import train
from maskrcnn.run_files import receipt_file
from maskrcnn.run_files.resume import resolve

# On a CPU with AVX-512, torch 2.13's oneDNN writes beyond its memory: in the backward of a 1x1 convolution of stride 2
# with 8 channels or fewer. The tests' small models have such; with 12 channels and more it was not seen.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

ROOT = Path(__file__).parent.parent
# A model of some 60,000 weights on 16 pictures: seconds, not minutes.
TINY = [
    "model.backbone.width=8", "model.neck.channels=16", "model.box_head.trunk.features=[32]",
    "model.mask_head.channels=[16]", "model.mask_head.upsampled_channels=16", "model.sampler.batch_per_image=16",
    "data.source.train_pictures=16", "data.source.val_pictures=6", "data.workers=0", "data.batch_size=4",
    "trainer.log_every_n_steps=1", "callbacks.progress.every_n_steps=2", "callbacks.pictures.count=2",
    "model.box_head.score_threshold=0.0", "schedule.warmup_steps=2",
]  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def caches_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Annotations that a test reads are not kept on the machine, nor taken from there."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shapes_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "shapes"


@pytest.fixture(scope="session")
def start(shapes_root: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts one of the scripts in a folder, as a user does."""

    def begin(
        script: str, *arguments: str, cwd: Path, tiny: bool = True, python: list[str] = [], **process: Any
    ) -> subprocess.Popen[str]:
        overrides = [*TINY, f"data.root={shapes_root}"] if tiny else []
        return subprocess.Popen(
            [sys.executable, *python, str(ROOT / script), *arguments[:1], *overrides, *arguments[1:]],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **process,
        )

    return begin


@pytest.fixture(scope="session")
def command(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one of the scripts in a folder to its end."""

    def run(script: str, *arguments: str, **process: Any) -> subprocess.CompletedProcess[str]:
        started = start(script, *arguments, **process)
        stdout, stderr = started.communicate()
        return subprocess.CompletedProcess(started.args, started.returncode, stdout, stderr)

    return run


@pytest.fixture(scope="session")
def open_shapes(shapes_root: Path) -> Callable[..., CocoDataModule]:
    """Reads the pictures that runs learn, or others if overrides say so."""

    def make(*overrides: str) -> CocoDataModule:
        config = to_plain(compose([*TINY, f"data.root={shapes_root}", *overrides]))
        data: CocoDataModule = build(config["data"], [])
        data.prepare_data()
        data.setup()
        return data

    return make


@pytest.fixture(scope="session")
def run(command: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs; its printed output lies in it as output.txt."""
    folder = tmp_path_factory.mktemp("run")
    done = command("train.py", "trainer.max_epochs=2", f"run_dir={folder}/first", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.suppress(OSError):
        (folder / "first" / "output.txt").write_text(done.stdout)
    return folder / "first"


@pytest.fixture(scope="session")
def fit(shapes_root: Path) -> Callable[..., dict[str, float]]:
    """Trains the tiny model within this process, with one more callback if asked, and returns its scores."""

    def run(folder: Path, *overrides: str, callback: pl.Callback | None = None) -> dict[str, float]:
        config = compose([*TINY, f"data.root={shapes_root}", f"run_dir={folder}", *overrides])
        plain = to_plain(config)
        plain["resume"] = resolve(plain["resume"], plain["run_dir"])
        check(plain, train)
        parts = build(plain, plain["plugins"])
        parts["callbacks"]["of_the_test"] = callback
        begin = functools.partial(receipt_file.begin, folder, plain, list(overrides), plain["resume"])
        return train(portable(config), begin, **parts)

    return run
