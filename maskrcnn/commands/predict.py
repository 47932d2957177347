"""Finds instances in picture files and videos, and writes what was found."""

import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.console import Console

from maskrcnn.commands import thresholds_file
from maskrcnn.commands.predict_bar import PredictBar
from maskrcnn.commands.predictor import Predictor
from maskrcnn.data.few import counted, few, few_names
from maskrcnn.engine.console import Terminal, say
from maskrcnn.engine.restore import restore
from maskrcnn.engine.tta import Tta
from maskrcnn.prediction.outputs import Kind, make_output, written
from maskrcnn.prediction.prediction import Prediction
from maskrcnn.prediction.sources import Frame, find_files, left_below, name_outputs, read_frames
from maskrcnn.prediction.thresholds import OTHERS, Thresholds
from maskrcnn.prediction.tiles import Tiling
from maskrcnn.visualize.stages import draw_stages

NAMED = 5  # files that the summary names at most


def predict(
    *,
    checkpoint: str,
    source: str,
    output: str,
    outputs: list[Kind],
    stages: bool,
    score_threshold: float | dict[str, float] | Literal["best"],
    tile: Tiling,
    batch_size: int,
    tta: Tta,
    override: list[str],
    device: str,
    plugins: list[str],
) -> None:
    """Finds instances in pictures and videos. What cannot be read is named, at once and in the summary, and left out.
    Ctrl-C keeps what was done.

    Args:
        checkpoint: the file.
        source: a picture or video, a folder of them, or a glob.
        output: folder for what is written; not the pictures' own.
        outputs: what is written: pictures (annotated, as PNG; of a video a video), splash (the same, with the objects
            in colour and all else grey), masks (label maps as PNG; n is the n-th best instance), yolo (labels/*.txt),
            labelme (labelme/*.json), coco (detections.json), stages (for each picture a sheet of what the network sees
            and does, see docs/how-it-works.md; of the whole picture, also where it is cut).
        stages: the sheets too, beside the outputs.
        score_threshold: what scores less is left out; a number, or one by class with "default" for the others, or
            "best": those that evaluate.py found for this checkpoint; classes without one are left out.
        tile: how large pictures are cut.
        batch_size: pictures, frames or tiles that the network sees at once, if they are of one size.
        tta: views of a picture, or tile, that are looked at; with more than one it takes so many times longer.
        override: changes to the checkpoint's configuration; device: such as cpu or cuda; plugins: packages of yours.

    Raises:
        ValueError: the checkpoint is refused, there are no pictures, nothing could be predicted, or a picture lies
            where something would be written.
        SystemExit: with 130, after Ctrl-C.
    """
    console = Terminal()
    if not outputs and not stages:
        raise ValueError("outputs=[] would write nothing: give what to write, such as outputs=[pictures,coco]")
    files = find_files(source)
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"output={output} is a file; give a folder")
    # Also where a link leads out of it: what is written would go through the link.
    if any(_lies_in(place(file), place(folder)) for file in files for place in (os.path.realpath, os.path.abspath)):
        raise ValueError(
            f"output={output} holds pictures of source={source}; give another folder, so that none is lost"
        )
    predictor = Predictor(restore(checkpoint, override, plugins), device, batch_size)
    predictor.detect = tta
    threshold = score_threshold
    if threshold == "best":
        threshold = {OTHERS: math.inf, **thresholds_file.read(Path(checkpoint))}
        say(console, f"least scores: {_listed(threshold, predictor.classes)}")
    thresholds = Thresholds(threshold, predictor.classes).of  # complains before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    before = written(folder)

    def sheet(name: str, picture: np.ndarray) -> np.ndarray:
        return draw_stages(
            name, predictor.stages(picture, as_read=True), predictor.classes, thresholds, predictor.paste
        )

    kinds = [*outputs, "stages"] if stages and "stages" not in outputs else outputs
    sinks = [make_output(kind, folder, predictor.classes, predictor.category_ids, sheet) for kind in kinds]
    tally = _Tally(console)
    stopped = False
    try:
        with PredictBar(console) as bar:
            find = partial(
                predictor.predict_batch,
                score_threshold=threshold,
                tiling=tile,
                tile_done=partial(bar.part, "tiles"),
                as_read=True,
            )
            frames = read_frames(bar.files(files), name_outputs(files), predictor.read, tally.skip)
            for frame, found in _predictions(frames, batch_size, find, tally.skip):
                try:
                    for sink in sinks:
                        sink.write(frame, found)
                    tally.count(found)
                except ValueError as error:
                    tally.skip(frame.image_id, error)
                if frame.clip is not None:
                    bar.part("frames", frame.number + 1, frame.clip.frames)
    except KeyboardInterrupt:
        stopped = True
    finally:
        for sink in sinks:
            sink.close()
    # Sub-folders may be many: nobody who stopped waits for their listing.
    for note in (None if stopped else left_below(source, folder), _left(before, folder)):
        if note is not None:
            say(console, note)
    if stopped:
        say(console, f"stopped; {tally.done()}; what was done is in {folder}")
        raise SystemExit(130)
    if not tally.pictures:
        raise ValueError(f"source={source}: none of the {len(files)} files could be predicted")
    if not tally.instances:
        known = score_threshold != "best" and thresholds_file.path_of(Path(checkpoint)).is_file()
        offered = ", or score_threshold=best, which evaluate.py found" if known else ""
        say(console, f"nothing scored enough; try a lower score_threshold{offered}")
    say(console, f"{tally.done()}; wrote {folder}{tally.left_out()}")


def _left(before: dict[Path, int], folder: Path) -> str | None:
    """What to say of outputs that lay there before and were not written anew."""
    left = [file for file, when in written(folder).items() if before.get(file) == when]
    if not left:
        return None
    places = ", ".join(sorted({file.relative_to(folder).parts[0] for file in left}))
    return (
        f"NOTE: {len(left)} files of an earlier run still lie in {folder} ({places}) and do not belong to what was "
        "written now: delete them, or give each run its own output=..."
    )


def _lies_in(file: str, folder: str) -> bool:
    return Path(folder) in Path(file).parents


def _listed(thresholds: dict[str, float], classes: list[str]) -> str:
    return few_names([f"{name} {thresholds[name]:.2f}" if name in thresholds else f"no {name}" for name in classes])


def _predictions(
    frames: Iterator[Frame],
    batch_size: int,
    find: Callable[[list[np.ndarray]], list[Prediction]],
    skip: Callable[[str, Exception], None],
) -> Iterator[tuple[Frame, Prediction]]:
    """What is found in each frame; if a batch fails, its frames are tried one by one, and those that fail skipped."""
    while batch := list(islice(frames, batch_size)):
        try:
            yield from zip(batch, find([frame.pixels for frame in batch]))
            continue
        except (ValueError, torch.OutOfMemoryError) as error:
            if len(batch) == 1:
                skip(batch[0].image_id, error)
                continue
        # Not within `except`, where the error's traceback holds the tensors of the failed attempt.
        yield from _predictions(iter(batch), 1, find, skip)


class _Tally:
    """What was done, and what was left out."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pictures = self.instances = 0
        self.skipped: list[str] = []

    def count(self, found: Prediction) -> None:
        self.pictures += 1
        self.instances += len(found.results)

    def skip(self, name: str, error: Exception) -> None:
        reason = str(error) if name in str(error) else f"{name}: {error}"
        say(self.console, f"skipped: {reason}")
        self.skipped.append(name)

    def done(self) -> str:
        return f"{counted(self.instances, 'instance')} in {counted(self.pictures, 'picture')}"

    def left_out(self) -> str:
        if not self.skipped:
            return ""
        return f"; skipped {len(self.skipped)}: {few(self.skipped, NAMED)}"
