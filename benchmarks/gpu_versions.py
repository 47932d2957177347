"""What the work on a GPU runs by: its driver, and the versions of what computes."""

import importlib.metadata
import subprocess

import torch


def versions() -> dict[str, str | None]:
    """Of driver, torch, Triton, torchvision and CUDA; null where there is none, or it does not say."""
    return {
        "driver": _driver(),
        "torch": str(torch.__version__),
        "triton": _version("triton"),
        "torchvision version": _version("torchvision"),
        "cuda": torch.version.cuda,
    }


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no such program, as with AMD's; or it finds no driver
        return None
    return told.partition("\n")[0].strip() or None  # a line for each GPU, all of one driver


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
