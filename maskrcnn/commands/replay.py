"""Makes the step of a black box again on the CPU, and names what is not finite first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskrcnn.config.build import build
from maskrcnn.config.compose import check
from maskrcnn.engine import black_box
from maskrcnn.engine.console import Terminal
from maskrcnn.engine.module import mean_losses
from maskrcnn.engine.ranges import Range, watch
from maskrcnn.engine.restore import override_config
from maskrcnn.engine.rules import check_channels
from maskrcnn.engine.train import train
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.run_files.checkpoint import load_state
from maskrcnn.structures import Batch

REPRODUCED, FINITE = 0, 3  # exit status
_OUTSIDE = 1.0  # pixels beyond the picture that a box may reach by rounding


def replay(path: Path, plugins: list[str]) -> int:
    """Runs the forward pass of a black box in float32 on the CPU, and prints what is not finite and why.

    Args:
        path: of the file; plugins: packages besides ours that its configuration may name.

    Returns:
        The exit status: 0 if something is not finite here too, 3 if everything is finite.

    Raises:
        ValueError: the file is no black box, or its configuration is refused.
    """
    box = black_box.read(path)
    model, batch = _model(box, path, plugins), black_box.batch_of(box)
    losses, ranges = watch(model, batch)
    console = Terminal(highlight=False, soft_wrap=True)
    console.print(f"step {box['step']}, rank {box['rank']}: the loss was {box['loss']}. Pictures of the batch:")
    for picture, annotations in zip(box["pictures"], box["annotations"]):
        console.print(f"- {picture}, annotations {', '.join(map(str, annotations)) or 'none'}")
    tensors = {f"the weight {name}": value for name, value in model.state_dict().items()}
    tensors["the boxes of the batch's objects"] = batch.targets.boxes[batch.targets.valid]
    bad = [f"{name}: {_values(value)}" for name, value in tensors.items() if not bool(value.isfinite().all())]
    bad += [f"the output of {name}: {_share(found)}" for name, found in ranges.items() if found.non_finite]
    bad += [f"the loss {name}: {loss.sum.item()}" for name, loss in losses._asdict().items() if not loss.sum.isfinite()]
    if bad:
        console.print(f"first bad tensor: {bad[0]}")
        if len(bad) > 1:
            console.print(f"next: {bad[1]}{f'; and {len(bad) - 2} more after it' if len(bad) > 2 else ''}")
    else:
        then = next((name for name, found in box["ranges"].items() if Range(**found).non_finite), None)
        where = f"the output of {then} was the first that was not" if then else "a second forward pass was finite too"
        console.print(f"everything is finite on the CPU; where it was trained, {where}")
    console.print(f"losses here: {', '.join(f'{name} {mean:.4g}' for name, mean in mean_losses(losses).items())}")
    console.print(_largest(model))
    objects = list(bad_objects(batch, box))
    for sentence in objects:
        console.print(sentence)
    if not objects:
        console.print("no object of the batch has a box without area, beyond its picture, or not finite")
    return REPRODUCED if bad else FINITE


def _model(box: dict[str, Any], path: Path, plugins: list[str]) -> MaskRCNN:
    about = box["maskrcnn"]
    config = override_config({**about["config"], "plugins": plugins}, [])
    check(config, train)
    check_channels(config)
    model: MaskRCNN = build(config["model"], plugins, "model")(len(about["classes"]), config["data"]["channels"])
    load_state(model, box["weights"], path)
    for name in box["evaluating"]:
        model.get_submodule(name).training = False
    return model


def _values(tensor: Tensor) -> str:
    wrong = tensor[~tensor.isfinite()]
    return f"{len(wrong)} of {tensor.numel()} values not finite, the first is {wrong[0].item()}"


def _share(found: Range) -> str:
    rest = "" if found.non_finite == 1 else f", the others from {found.least:.4g} to {found.greatest:.4g}"
    return f"{100 * found.non_finite:.4g} % of its values not finite{rest}"


def _largest(model: MaskRCNN) -> str:
    sizes = {name: value.detach().abs().nan_to_num(nan=0.0).max().item() for name, value in model.named_parameters()}
    name = max(sizes, key=lambda name: sizes[name])
    return f"the largest weight before the step is {sizes[name]:.4g}, in {name}"


def bad_objects(batch: Batch, box: dict[str, Any]) -> Iterator[str]:
    """A sentence for each object whose box no picture can have, with the annotation that it comes from.

    Args:
        batch: of the black box `box`.
    """
    for picture, slot in torch.nonzero(batch.targets.valid).tolist():
        x1, y1, x2, y2 = corners = batch.targets.boxes[picture, slot].tolist()
        height, width = batch.image_sizes[picture].tolist()
        if not batch.targets.boxes[picture, slot].isfinite().all():
            wrong = "is not finite"
        elif x2 <= x1 or y2 <= y1:
            wrong = "has no area"
        elif min(x1, y1) < -_OUTSIDE or x2 > width + _OUTSIDE or y2 > height + _OUTSIDE:
            wrong = f"reaches beyond the picture of {height} x {width}"
        else:
            continue
        known = box["annotations"][picture][slot] if box["slots"][picture] else None
        name = f"object {slot + 1} in the batch" if known is None else f"annotation {known}"
        label = int(batch.targets.labels[picture, slot])
        classes = box["maskrcnn"]["classes"]
        of_class = classes[label] if 0 <= label < len(classes) else f"label {label}"
        yield (
            f"bad target: {name} ({of_class}) of {box['pictures'][picture]}: its box "
            f"{', '.join(f'{corner:.4g}' for corner in corners)} {wrong}"
        )
