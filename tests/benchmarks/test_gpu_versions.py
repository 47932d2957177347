import importlib.metadata
import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILE = Path(__file__).parent.parent.parent / "benchmarks" / "gpu_versions.py"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, where programs are looked for in `tmp_path` first."""
    spec = importlib.util.spec_from_file_location("gpu_versions", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return module


@pytest.mark.parametrize(
    ("script", "driver"),
    [
        ('[ "$1" = --query-gpu=driver_version ] && printf "580.159.04\\n580.159.04\\n"', "580.159.04"),
        ('echo "NVIDIA-SMI has failed"; exit 9', None),
    ],
)
def test_the_gpu_benchmark_keeps_driver_and_versions(
    script: str, driver: str | None, asked: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    known = {"triton": "3.6.0"}
    nothing = importlib.metadata.PackageNotFoundError

    def version(package: str) -> str:
        if package not in known:
            raise nothing(package)
        return known[package]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert asked.versions() == {
        "driver": driver,
        "torch": torch.__version__,
        "triton": "3.6.0",
        "torchvision version": None,
        "cuda": torch.version.cuda,
    }


def test_a_machine_without_nvidias_program_has_no_driver(
    asked: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asked.versions()["driver"] is None
