"""A program as an ONNX file, which other runtimes read. Needs the extra `onnx`."""

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import torch

OUTPUTS = ["boxes", "scores", "labels", "masks", "valid"]


def require_onnx() -> None:
    """Complains of what is not installed.

    Raises:
        ValueError: onnx, onnxscript or onnxruntime is missing.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"an ONNX file needs {', '.join(missing)}: pip install 'maskrcnn[onnx]'; a .pt2 needs nothing")


def _embedding_bag(
    weight: Any,
    indices: Any,
    offsets: Any,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[Any, Any, Any, Any]:
    """Weighted sums of as many rows in each bag, tap by tap; the converter's own translation loops over the bags."""
    from onnxscript import opset18

    op: Any = opset18  # annotated too narrowly: its operators take no result of Constant
    assert mode == 0 and per_sample_weights is not None
    bags = offsets.shape[0]
    taps = indices.shape[0] // bags
    index = op.Reshape(indices, op.Constant(value_ints=[bags, taps]))
    share = op.Reshape(per_sample_weights, op.Constant(value_ints=[bags, taps, 1]))
    total = None
    for tap in range(taps):
        at = op.Constant(value_int=tap)
        row = op.Mul(op.Gather(weight, op.Gather(index, at, axis=1), axis=0), op.Gather(share, at, axis=1))
        total = row if total is None else op.Add(total, row)
    return total, offsets, offsets, offsets  # only the sums are read


def write_onnx(program: torch.export.ExportedProgram, path: Path, about: dict[str, Any]) -> None:
    """Writes a program of `make_program`; `about` becomes the file's metadata "about", as JSON."""
    table = {
        getattr(torch.ops.aten, name).default: _embedding_bag
        for name in ("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
    }
    table[torch.ops.aten.embedding_bag.padding_idx] = _embedding_bag
    for name in ("onnx_ir", "onnxscript"):  # they tell of every constant that they join
        logging.getLogger(name).setLevel(logging.WARNING)
    # It tells that torchvision is missing, of which nothing is used.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    converted = torch.onnx.export(
        program,
        dynamo=True,
        input_names=["picture"],
        output_names=OUTPUTS,
        custom_translation_table=table,
        verbose=False,
    )
    assert converted is not None
    converted.model.metadata_props["about"] = json.dumps(about)
    converted.save(path)


def run_onnx(path: Path, pictures: list[torch.Tensor]) -> list[tuple[torch.Tensor, ...]]:
    """What onnxruntime finds in each picture, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it tells of constants that it removes
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [
        tuple(torch.from_numpy(output) for output in session.run(OUTPUTS, {"picture": picture.numpy()}))
        for picture in pictures
    ]
