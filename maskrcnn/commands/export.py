"""Turns a checkpoint into one file that runs without this package, and compares what it finds with what we find."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskrcnn.commands.exportable import Exportable, Fit, make_program
from maskrcnn.commands.onnx_file import require_onnx, run_onnx, write_onnx
from maskrcnn.commands.predictor import Predictor
from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.resize import STRIDE, Resize, canvas_side
from maskrcnn.engine.console import Terminal, say
from maskrcnn.engine.restore import restore
from maskrcnn.ops.boxes import iou
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.prediction.sources import find_files
from maskrcnn.whole_file import replacing

CHECKED = 4  # pictures at most
SURE = 0.5  # score from which on an instance is compared with what `predict` finds
PT2_USE = """use it with torch alone (channels as in training; of {slots} slots, `valid` ones hold an instance):
  import json, torch
  program = torch.export.load("{path}", extra_files=(files := {{"about.json": ""}})).module()
  classes = json.loads(files["about.json"])["classes"]
  boxes, scores, labels, masks, valid = program(picture)  # a tensor [h, w, {channels}] uint8
  print([(classes[label], score) for label, score in zip(labels[valid].tolist(), scores[valid].tolist())])"""
ONNX_USE = """use it with onnxruntime (channels as in training; of {slots} slots, `valid` ones hold an instance):
  import json, onnxruntime
  session = onnxruntime.InferenceSession("{path}")
  classes = json.loads(session.get_modelmeta().custom_metadata_map["about"])["classes"]
  boxes, scores, labels, masks, valid = session.run(None, {{"picture": picture}})  # an array [h, w, {channels}] uint8
  print([(classes[label], score) for label, score in zip(labels[valid], scores[valid])])"""


def export(
    *,
    checkpoint: str,
    output: str,
    source: str | None,
    canvas: tuple[int, int] | None,
    override: list[str],
    plugins: list[str],
) -> dict[str, float]:
    """Writes a checkpoint's model, with preprocessing and classes, as a .pt2 for bare torch or an .onnx. The file is
    loaded again and compared with the model on pictures, one without objects among them, and only takes the place of
    one before if they agree.

    Args:
        checkpoint: the file.
        output: the file to write; its name ends in .pt2 or .onnx.
        source: pictures to compare on, up to 4: one, a folder, or a glob. null: one of noise.
        canvas: height and width that the network sees, multiples of 32; pictures are fitted into it. null: the square
            that holds every picture as `predict` would see it.
        override: changes to the checkpoint's configuration, such as model.box_head.score_threshold.
        plugins: packages besides ours that the configuration may name.

    Returns:
        The greatest differences from the model in eager mode: "boxes" in pixels, "scores", "masks".

    Raises:
        ValueError: the checkpoint, the name, the canvas or the pictures are refused, or the file finds something else.
    """
    path, console = Path(output), Terminal()
    if path.suffix not in (".pt2", ".onnx"):
        raise ValueError(
            f"output={output}: its name says the format: output=model.onnx or, for torch, output=model.pt2"
        )
    if path.suffix == ".onnx":
        require_onnx()
    predictor = Predictor(restore(checkpoint, override, plugins), "cpu", 1)
    channels = predictor.read.channels
    fit = _fit(predictor, canvas)
    pictures = _pictures(predictor, source)
    module = Exportable(predictor.model, fit, predictor.read.stretch).eval()
    about = {
        "classes": predictor.classes,
        "category_ids": predictor.category_ids,
        "channels": channels,
        "canvas": list(fit.canvas),
        "outputs": "boxes x1 y1 x2 y2 in pixels of the picture, scores, labels, masks in their boxes' frames, valid",
    }
    say(console, f"tracing for a canvas of {fit.canvas[0]} x {fit.canvas[1]} ...")
    program = make_program(module, channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        wanted = [module(picture) for picture in pictures]
    with replacing(path) as part:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own of its archive and its converter
            if path.suffix == ".pt2":
                with part.open("w+b") as stream:  # by name, torch warns of the ending
                    torch.export.save(program, stream, extra_files={"about.json": json.dumps(about)})
                    stream.seek(0)
                    loaded = torch.export.load(stream).module()
                with torch.inference_mode():
                    found = [loaded(picture) for picture in pictures]
            else:
                write_onnx(program, part, about)
                found = run_onnx(part, pictures)
        differences = compare(wanted, found)
        if max(differences.values()) > 1e-2:
            raise ValueError(
                f"{path} would find something else than the model does, so nothing was written: {differences}"
            )
    said = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    instances = sum(int(outputs[-1].sum()) for outputs in wanted)
    say(
        console,
        f"checked on {len(pictures)} pictures, one of them blank: {instances} instances of any score, greatest "
        f"differences from eager: {said}; {_beside(predictor, pictures, found)}",
    )
    if not instances:
        say(
            console,
            "nothing was found in them, so that no box or mask was compared: train further, or give source=... with "
            "pictures in which the model finds something",
        )
    say(console, f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    usage = PT2_USE if path.suffix == ".pt2" else ONNX_USE
    slots = len(wanted[0][-1])
    say(console, usage.format(channels=channels, slots=slots, path=path))
    return differences


def _fit(predictor: Predictor, canvas: tuple[int, int] | None) -> Fit:
    resize = getattr(predictor.resize, "fit", predictor.resize)  # large-scale jitter fits pictures in by another
    if not isinstance(resize, Resize):
        raise ValueError(
            f"data.resize is {type(resize).__name__}, which cannot be exported; set override=[...] to "
            "maskrcnn.data.resize.Resize"
        )
    if canvas is None:
        side = canvas_side(resize.longest)
        canvas = (side, side)
    if any(side < STRIDE or side % STRIDE for side in canvas):
        raise ValueError(
            f"canvas is {list(canvas)}; give height and width as multiples of {STRIDE}, such as [800,1344]"
        )
    return Fit(resize.shortest[-1], resize.longest, (canvas[0], canvas[1]))


def _pictures(predictor: Predictor, source: str | None) -> list[Tensor]:
    """Pictures to compare on, the last of them blank."""
    if source is None:
        noise = np.random.default_rng(0).integers(0, 256, (192, 256, predictor.read.channels), dtype=np.uint8)
        pictures = [noise]
    else:
        read = PictureReader(predictor.read.channels, predictor.read.max_value)  # stretching is in the program
        pictures = [read(file, None) for file in find_files(source)[: CHECKED - 1]]
    return [torch.from_numpy(np.ascontiguousarray(picture)) for picture in [*pictures, np.zeros_like(pictures[0])]]


def compare(wanted: Sequence[tuple[Tensor, ...]], found: Sequence[tuple[Tensor, ...]]) -> dict[str, float]:
    """Greatest differences between what two runs of one model find, over the instances that score half or more, or as
    much as the best; each with the one of its label that overlaps it most, since near-ties may change places.

    Args:
        wanted, found: the outputs of `Exportable` for each picture.

    Returns:
        By "boxes" (pixels), "scores" and "masks"; infinity where an instance is missing.
    """
    worst = dict.fromkeys(("boxes", "scores", "masks"), 0.0)
    for (boxes, scores, labels, masks, valid), theirs in zip(wanted, found, strict=True):
        sure = valid & (scores >= min(SURE, float(scores.max())))
        for slot in sure.nonzero().flatten().tolist():
            overlap = torch.where(theirs[4] & (theirs[2] == labels[slot]), iou(boxes[slot], theirs[0]), -1)
            best = int(overlap.argmax())
            if overlap[best] <= 0:
                return dict.fromkeys(worst, float("inf"))
            for name, ours, other in zip(worst, (boxes, scores, masks), (theirs[0], theirs[1], theirs[3])):
                worst[name] = max(worst[name], float((ours[slot] - other[best]).abs().max()))
    return worst


def _beside(predictor: Predictor, pictures: list[Tensor], found: Sequence[tuple[Any, ...]]) -> str:
    """How many of the instances that `predict` finds, with OpenCV's resizing and its own canvas, the file finds."""
    same = total = 0
    for picture, (boxes, _, labels, _, valid) in zip(pictures, found):
        ours: Prediction = predictor.predict(picture.numpy(), SURE)
        if len(ours.results) == 0:
            continue
        overlap = iou(torch.from_numpy(ours.boxes)[:, None].float(), boxes[valid][None])
        alike = (overlap >= 0.8) & (torch.from_numpy(ours.labels)[:, None] == labels[valid][None])
        same, total = same + int(alike.any(dim=1).sum()), total + len(ours.results)
    if not total:
        return f"predict finds no instance with a score of {SURE} in them, so there was none to find again"
    return f"of {total} instances that predict finds with a score of {SURE}, {same} are found"
