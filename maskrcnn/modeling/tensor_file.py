"""Files of tensors and plain values: weights, checkpoints, black boxes."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch


def read_tensors(path: Path, given: str, kind: str) -> Any:
    """What a file holds, on the CPU, read without running any code of its own.

    Args:
        path: of the file, which is there; given: how the user named it; kind: what it should be, as "a checkpoint".

    Raises:
        ValueError: it is broken, cut short, or holds more than tensors and plain values.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text advises to run what the file holds
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code is None:
            raise ValueError(f"{given} is not {kind}, or it is broken") from error
        raise ValueError(
            f"{given} holds more than tensors and plain values and was not opened: it could run code ({code[1]})"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        why = str(error).partition(". ")[0] or "it holds nothing"  # what follows is for programmers
        raise ValueError(f"{given} is not {kind}, or it is cut short: {why}") from error
