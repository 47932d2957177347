"""What a terminal shows."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from maskrcnn.engine.bar import Bar
from maskrcnn.engine.progress import Progress
from maskrcnn.structures import Losses


def test_the_lines_fit_into_80_columns_and_print_goes_above_them() -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, width=80, force_terminal=True, color_system=None)
    bar = Bar(console)
    bar.pace = "121.1 images/s  102.3 min left"
    bar.losses = "loss 1.234  objectness 0.123  rpn box 0.023  class 0.234  box 0.123  mask 0.345"
    bar.scores = "mask AP 0.447 after epoch 1, best since the start 0.451"
    bar.show("epoch 12/12", 3661, 7322)
    console.print(bar.render())
    first, second, third = terminal.getvalue().splitlines()
    assert len(first) == 80 and first.startswith("epoch 12/12 ━━") and "╸" in first
    assert first.endswith("3661/7322 121.1 images/s  102.3 min left")
    assert second.rstrip() == bar.losses and third.rstrip() == bar.scores
    bar.scores = "x" * 100
    terminal.truncate(0)
    terminal.seek(0)
    console.print(bar.render())
    assert terminal.getvalue().splitlines()[2] == "x" * 79 + "…"
    bar.start()
    console.print("epoch 1: mask AP 0.447")
    bar.stop()
    assert "epoch 1: mask AP 0.447" in terminal.getvalue()


def test_an_interrupted_run_gives_the_cursor_back() -> None:
    screen = io.StringIO()
    progress: Any = Progress(every_n_steps=1)
    progress.bar = Bar(Console(file=screen, force_terminal=True, width=80))
    progress.bar.start()
    progress.on_exception(None, None, KeyboardInterrupt())
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert screen.getvalue().rfind(hide) < screen.getvalue().rfind(show)


@pytest.mark.parametrize(
    ("every", "logged", "lines"),
    [(2, 1, [2, 4, 6, 8, 10, 12]), (2, 4, [4, 8, 12]), (5, 2, [6, 10, 12]), (5, 5, [5, 10]), (20, 1, [12])],
)
def test_lines_are_of_steps_whose_losses_are_logged(
    every: int, logged: int, lines: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    progress: Any = Progress(every_n_steps=every)
    module = SimpleNamespace(images_per_step=2, total_steps=12)
    trainer = SimpleNamespace(is_global_zero=True, global_step=0, log_every_n_steps=logged, callback_metrics={})
    progress.on_train_start(trainer, module)
    for step in range(1, 13):
        progress.on_train_batch_end(trainer, module, None, None, 0)  # the first half of a step, of the losses before it
        trainer.global_step = step
        if step % logged == 0:
            trainer.callback_metrics = {f"train/{name}": float(step) for name in ("loss", *Losses._fields)}
        progress.on_train_batch_end(trainer, module, None, None, 0)
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in printed] == [f"step {n}/12  loss {n:.3f}" for n in lines]


def test_a_log_file_is_told_of_slow_steps_and_of_a_slow_validation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("maskrcnn.engine.progress.time.perf_counter", lambda: now)
    progress: Any = Progress(every_n_steps=50)
    module = SimpleNamespace(images_per_step=2, total_steps=100)
    trainer = SimpleNamespace(
        is_global_zero=True, global_step=0, log_every_n_steps=50, callback_metrics={}, sanity_checking=False,
        num_val_batches=[9], current_epoch=0, val_check_interval=1.0,
    )  # fmt: skip
    progress.on_train_start(trainer, module)
    for seconds in (20.0, 40.0, 60.0, 80.0):
        now, trainer.global_step = seconds, trainer.global_step + 1
        progress.on_train_batch_end(trainer, module, None, None, 0)
    for batch, seconds in enumerate((90.0, 115.0, 120.0, 200.0)):
        now = seconds
        progress.on_validation_batch_end(trainer, module, None, None, batch)
    assert capsys.readouterr().out.splitlines() == [
        "step 2/100  0.100 images/s  32.7 min left",
        "step 4/100  0.100 images/s  32.0 min left",
        "validation: 2 of 9 batches",
        "validation: 4 of 9 batches",
    ]
