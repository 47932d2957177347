"""Training with a compiled step."""

from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import pytest
import torch

from maskrcnn.run_files import checkpoint


@pytest.mark.slow
def test_parts_are_let_go_in_more_graphs_than_torch_makes_by_itself(
    fit: Callable[..., dict[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch._dynamo.reset()
    # Traced, and run as it is, so that bits are the same and no compiler is needed.
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="eager"))
    overrides = ["callbacks.freeze.until={backbone: 1, neck: 2}", "trainer.limit_train_batches=1", "logger=csv"]
    states = []
    for compiled in ("true", "false"):
        with torch._dynamo.config.patch(recompile_limit=1):
            fit(tmp_path / compiled, *overrides, f"compile={compiled}", "callbacks.pictures=null")
        states.append(checkpoint.read(tmp_path / compiled / "checkpoints" / "last.ckpt")["state_dict"])
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    said = capsys.readouterr().out
    assert said.count("compile=true: the first step is compiled, which takes minutes") == 1
