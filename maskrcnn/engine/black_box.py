"""The file that a step with a loss that is not finite leaves: all that it takes to make it again, as plain values."""

from pathlib import Path
from typing import Any, cast

from maskrcnn.config.later import renew
from maskrcnn.data.annotation_ids import annotation_ids
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.ranges import Range
from maskrcnn.modeling.mask_rcnn import MaskRCNN
from maskrcnn.modeling.tensor_file import read_tensors
from maskrcnn.run_files.checkpoint import CheckpointFile
from maskrcnn.structures import Batch, Losses, Targets

FORMAT = 1


def content(
    model: MaskRCNN, batch: Batch, data: CocoDataModule, losses: Losses, ranges: dict[str, Range]
) -> dict[str, Any]:
    """What a black box holds of a model, a batch that it learns from, and what `watch` saw of them.

    Returns:
        batch: of `Batch`, as mappings; weights: the model's state; evaluating: the modules that are in evaluation mode;
        pictures: paths of the files; annotations: ids of each picture's objects; slots: whether the objects of a
        picture are those in its slots of the batch, one by one, so that each slot has an id; losses: by name, sum and
        count; ranges: of each module's output.
    """
    records = [data.train_annotations.records[index] for index in batch.indices.tolist()]
    labels = [labels[valid].tolist() for labels, valid in zip(batch.targets.labels, batch.targets.valid)]
    pasted = data.augmentation.paste is not None
    return {
        "batch": _plain({**batch._asdict(), "targets": batch.targets._asdict()}),
        "weights": _plain(model.state_dict()),
        "evaluating": [name for name, module in model.named_modules() if not module.training],
        "pictures": [str(record.path) for record in records],
        "annotations": annotation_ids(data.source.splits(data.root), records),
        "slots": [not pasted and own == record.objects.labels.tolist() for own, record in zip(labels, records)],
        "losses": {name: (loss.sum.item(), loss.count.item()) for name, loss in losses._asdict().items()},
        "ranges": {name: found._asdict() for name, found in ranges.items()},
    }


def _plain(tensors: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(value) if isinstance(value, dict) else value.detach().to("cpu", copy=True)
        for name, value in tensors.items()
    }


def write(path: Path, box: dict[str, Any], about: dict[str, Any]) -> None:
    """Writes the file as a whole, or not at all.

    Args:
        box: see `content`; about: what a checkpoint says of the run, see `checkpoint.content`.
    """
    CheckpointFile().save_checkpoint({"black_box": FORMAT, "maskrcnn": about, **box}, path)


def read(path: Path) -> dict[str, Any]:
    """A black box, on the CPU; no code of the file runs.

    Raises:
        ValueError: the file is missing, cut short, or no black box.
    """
    if not path.is_file():
        found = f"{path} is a folder" if path.is_dir() else f"there is no {path}"
        raise ValueError(f"{found}; name the blackbox_step_*.pt in a run's folder")
    box = read_tensors(path, str(path), "a black box")
    if not isinstance(box, dict) or box.get("black_box") != FORMAT:
        raise ValueError(f"{path} is no black box of this version; name the blackbox_step_*.pt in a run's folder")
    box["maskrcnn"]["config"] = renew(box["maskrcnn"]["config"], path)
    return cast(dict[str, Any], box)


def batch_of(box: dict[str, Any]) -> Batch:
    """The batch in a black box."""
    tensors: dict[str, Any] = {**box["batch"], "targets": Targets(**box["batch"]["targets"])}
    return Batch(*(tensors[name] for name in Batch._fields))
