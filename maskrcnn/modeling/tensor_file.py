"""Files of tensors and plain values: weights, checkpoints, black boxes."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import safe_globals

_HARMLESS = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"), ("_codecs", "encode"), ("collections", "OrderedDict"),
}  # fmt: skip


class _Skipped:
    """Stands for an object of no use here: takes whatever a file says of it, and does nothing."""

    def __new__(cls, *arguments: Any) -> "_Skipped":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


# What is read besides tensors and plain values: NumPy's arrays and numbers. What training scripts keep beside weights
# becomes `_Skipped`: the log of MMDetection 3, which names methods by getattr, and the arguments of torchvision's.
_MAKERS = {name: make(0).__reduce__()[0] for name, make in (("_reconstruct", np.array), ("scalar", np.int64))}
_READABLE: list[Any] = [
    bytes, np.ndarray, np.dtype, *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + "?efd"},
    *((make, f"numpy.{core}.multiarray.{name}") for name, make in _MAKERS.items() for core in ("core", "_core")),
    *((_Skipped, name) for name in ("builtins.getattr", "argparse.Namespace")),
    (_Skipped, "mmengine.logging.history_buffer.HistoryBuffer"),
]  # fmt: skip


class _Arrays(pickle.Unpickler):
    """Reads a plain pickle of NumPy's arrays, as Detectron2's model zoo has them, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # where NumPy 2 has it
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"GLOBAL {module}.{name}")  # named as torch names what it refuses
        return super().find_class(module, name)


def read_tensors(path: Path, given: str, kind: str) -> Any:
    """What a file holds, on the CPU, read without running any code of its own.

    Args:
        path: of the file, which is there; given: how the user named it; kind: what it should be, as "a checkpoint".

    Raises:
        ValueError: it is broken, cut short, or holds more than tensors and plain values.
    """
    try:
        if path.suffix == ".pkl":
            with path.open("rb") as file:
                return _Arrays(file, encoding="latin1").load()
        with safe_globals(_READABLE):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text advises to run what the file holds
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code is None:
            raise ValueError(f"{given} is not {kind}, or it is broken") from error
        raise ValueError(
            f"{given} holds more than tensors and plain values and was not opened: it could run code ({code[1]}). "
            "Where it was made, torch.save its tensors alone"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        why = str(error).partition(". ")[0] or "it holds nothing"  # what follows is for programmers
        raise ValueError(f"{given} is not {kind}, or it is cut short: {why}") from error
