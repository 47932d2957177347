"""What a run runs on: processor, memory, GPUs and threads, and the versions of what it is built from."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from maskrcnn.config.cores import cores

PACKAGES = (
    "maskrcnn", "torch", "pytorch-lightning", "hydra-core", "omegaconf", "albumentations", "opencv-python-headless",
    "pycocotools", "numpy", "pillow", "tifffile",
)  # fmt: skip

# Environment variables by which libraries compute with other instructions or precisions, so that bits differ.
ARITHMETIC = (
    "ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)  # fmt: skip


def versions() -> dict[str, str | None]:
    """Of Python, of the packages that can change a result, and of what torch was built with; null where it is not."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a checkout that was not installed
            found[package] = None
    found["torch"] = str(torch.__version__)  # with its build, such as +cu130, which the metadata of some wheels lack
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
    return {**found, "cuda": torch.version.cuda, "cudnn": None if cudnn is None else str(cudnn)}


def hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in GB, GPUs, threads that torch computes with, and those of
    `ARITHMETIC` that are set.
    """
    return {
        "platform": platform.platform(),
        "cpu": _processor(),
        "cores": cores(),
        "memory_gb": _memory(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
        **{name: os.environ[name] for name in ARITHMETIC if name in os.environ},
    }


def _processor() -> str:
    with_names = Path("/proc/cpuinfo")  # of Linux; elsewhere Python knows
    for line in with_names.read_text(encoding="utf-8").splitlines() if with_names.is_file() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError):  # Windows
        return None
