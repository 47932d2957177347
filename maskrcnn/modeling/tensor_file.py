"""Files of tensors and plain values: weights, checkpoints, black boxes."""

import codecs
import math
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import safe_globals


class _Skipped:
    """Stands for an object of no use here: takes whatever a file says of it, and does nothing."""

    def __new__(cls, *arguments: Any) -> "_Skipped":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


class _Kind:
    """Stands for a dtype of NumPy, of plain numbers only: with any other, a file could name memory that is not its own.

    Args:
        code: such as "f4"; what else a file says is passed over.
    """

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in _CODES:
            raise pickle.UnpicklingError(f"GLOBAL numpy.dtype({code!r})")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray[Any, Any]):
    """An array of NumPy whose content a file gives; what else it is made of is passed over."""

    def __new__(cls, *_: Any) -> "_Array":
        return super().__new__(cls, 0)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, content = state
        whole = math.prod(shape) * kind.dtype.itemsize == len(content)
        if not whole or min(shape, default=0) < 0:
            raise ValueError(f"an array of {shape} has {len(content)} bytes")
        super().__setstate__((1, shape, kind.dtype, by_columns, content))


def _number(kind: _Kind, content: bytes | str) -> Any:
    """A number of NumPy; Python 2 wrote its bytes as text."""
    return np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, kind.dtype, 1)[0]


# What is read besides tensors and plain values: NumPy's arrays and numbers. What training scripts keep beside weights
# becomes `_Skipped`: the log of MMDetection 3, which names methods by getattr, and the arguments of torchvision's.
_CODES = {np.dtype(code).str[1:] for code in np.typecodes["AllInteger"] + "?efd"}  # such as f4
_MAKERS = {"_reconstruct": _Array, "scalar": _number}
_READABLE: dict[str, Any] = {
    "numpy.ndarray": _Array, "numpy.dtype": _Kind, "collections.OrderedDict": OrderedDict,
    "_codecs.encode": codecs.encode,
    **{f"numpy.{core}.multiarray.{name}": make for name, make in _MAKERS.items() for core in ("core", "_core")},
    **dict.fromkeys(("builtins.getattr", "argparse.Namespace"), _Skipped),
    "mmengine.logging.history_buffer.HistoryBuffer": _Skipped,
}  # fmt: skip


class _Arrays(pickle._Unpickler):
    """Reads a plain pickle of NumPy's arrays, as Detectron2's model zoo has them, and nothing that could run code.

    In Python, as torch does: the one in C makes room for as many values as a file claims to number.
    """

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _READABLE[f"{module}.{name}"]
        except KeyError:  # named as torch names what it refuses
            raise pickle.UnpicklingError(f"GLOBAL {module}.{name}") from None


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
        with safe_globals([bytes, *((value, name) for name, value in _READABLE.items())]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text advises to run what the file holds
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code is None:
            raise ValueError(f"{given} is not {kind}, or it is broken") from None
        raise ValueError(
            f"{given} holds more than tensors and plain values and was not opened: it could run code ({code[1]}). "
            "Where it was made, torch.save its tensors alone"
        ) from None
    except Exception as error:  # a broken file raises whatever its bytes lead to
        why = str(error).partition(". ")[0] or "it holds nothing"  # what follows is for programmers
        raise ValueError(f"{given} is not {kind}, or it is cut short: {why}") from error
