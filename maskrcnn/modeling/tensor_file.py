"""Files of tensors and plain values: weights, checkpoints, black boxes."""

import codecs
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


# What is read besides tensors and plain values: NumPy's arrays and numbers. What training scripts keep beside weights
# becomes `_Skipped`: the log of MMDetection 3, which names methods by getattr, and the arguments of torchvision's.
_MAKERS = {"_reconstruct": np.array(0).__reduce__()[0], "scalar": np.int64(0).__reduce__()[0]}
_READABLE: dict[str, Any] = {
    "numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype, "collections.OrderedDict": OrderedDict,
    "_codecs.encode": codecs.encode,
    **{f"numpy.{core}.multiarray.{name}": make for name, make in _MAKERS.items() for core in ("core", "_core")},
    **dict.fromkeys(("builtins.getattr", "argparse.Namespace"), _Skipped),
    "mmengine.logging.history_buffer.HistoryBuffer": _Skipped,
}  # fmt: skip
_DTYPES = {type(np.dtype(code)) for code in np.typecodes["AllInteger"] + "?efd"}  # which torch asks for one by one


class _Arrays(pickle.Unpickler):
    """Reads a plain pickle of NumPy's arrays, as Detectron2's model zoo has them, and nothing that could run code."""

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
        with safe_globals([bytes, *_DTYPES, *((value, name) for name, value in _READABLE.items())]):
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
