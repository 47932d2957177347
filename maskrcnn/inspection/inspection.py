"""A whole data set looked through: its files for themselves, then what a run selects of them."""

import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np

from maskrcnn.data.annotations import CocoAnnotations, read_annotations
from maskrcnn.data.records import Records
from maskrcnn.data.selection import Selection
from maskrcnn.data.source import Split, Splits
from maskrcnn.inspection.anchors import best_iou, sample_boxes, shares
from maskrcnn.inspection.content import check_caps, check_classes, check_examples, check_sizes
from maskrcnn.inspection.file import Depth, File, inspect_file
from maskrcnn.inspection.finding import LEVELS, Finding, Findings
from maskrcnn.inspection.headers import check_headers
from maskrcnn.inspection.limits import Limits
from maskrcnn.inspection.part import Part, selected_parts, whole_part
from maskrcnn.inspection.pixels import SAME, channel_statistics, check_leaks, check_range, check_same_files, check_sets
from maskrcnn.inspection.reach import Reach, measure_reach

REACHED = 0.9  # share of objects that anchors should reach at IoU 0.5; the RPN cannot learn the rest well


class Inspection(NamedTuple):
    """What was found in a data set."""

    files: list[File]
    parts: list[Part]  # as selected; as in the files where that cannot be
    found: dict[str, Findings]  # by part; of a mixture, also what is found in all of "train" or "val"
    reach: Reach | None
    pixels: tuple[np.ndarray, np.ndarray] | None  # mean and standard deviation of train's channels, at depth=pixels

    def findings(self) -> list[Finding]:
        """All, errors first."""
        found = [finding for findings in self.found.values() for finding in findings.all()]
        return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def inspect(sources: list[Splits], selection: Selection, depth: Depth, limits: Limits) -> Inspection:
    """Looks through a data set. What two of its parts have in common is found in val.

    Args:
        sources: where its files lie; more than one are mixed.
        selection: what a run learns and validates on. Defects are looked for in whole files; what they hold, in that.
        depth: look at annotations and headers of pictures, or at all pixels too.
        limits: of the configuration.

    Raises:
        ValueError: a file is no COCO file, or nothing usable is left of it.
        FileNotFoundError: there is no such file.
    """
    book: dict[str, Findings] = {}

    def of(name: str) -> Findings:
        return book.setdefault(name, Findings(name))

    files: list[File] = []
    for source in sources:
        own = [inspect_file(split, depth, limits, of(name)) for name, split in source.parts().items()]
        for file in own[1:]:
            check_classes(own[0].annotations.classes, file.annotations.classes, file.findings)
        files += own
    by_split = {file.split: file for file in files}
    pixels = {file.split: file.pixels for file in files if file.pixels is not None}  # of all, or of none
    if pixels:
        check_range([(file.records, pixels[file.split], file.findings) for file in files], limits.read.max_value)
    try:
        selected = selection.choose(sources, lambda split: by_split[split].annotations)
        parts = selected_parts(sources, selection, selected, limits.resize)
    except ValueError:  # the files do not fit together, which was found, or the selection, which the run will say
        parts = [whole_part(file, limits.resize) for file in files]
    for part in parts:
        check_sizes(part.content, part.records.ids(), of(part.name))
        check_caps(part.content, part.records.ids(), limits, of(part.name))
    trains = [part for part in parts if part.learnt]
    vals = [part for part in parts if not part.learnt]
    if len({part.content.classes for part in parts}) == 1:
        learnt, scored = ([part.content for part in some] for some in (trains, vals))
        check_examples(learnt, scored, of("train"), of("val"))
    for part in vals:
        for other in trains:
            if pixels:
                seen = pixels[other.split], pixels[part.split]
                check_leaks(other.records, part.records, seen, of(part.name))
            else:
                check_same_files(other.records, part.records, of(part.name))
    statistics = None
    if pixels:
        check_sets([(part.name, part.records, pixels[part.split], of(part.name)) for part in trains])
        sums = [pixels[part.split].sums[part.records.indices] for part in trains]
        statistics = channel_statistics(np.concatenate(sums))
    boxes = np.concatenate([part.content.boxes for part in trains])
    return Inspection(files, parts, book, measure_reach(boxes, limits), statistics)


def glance(sources: list[Splits], selection: Selection, limits: Limits) -> list[str]:
    """What a run should know before it starts: less than `inspect`, and in a second once the data set was seen.

    Args:
        sources: where its files lie; selection: what the run learns and validates on; limits: of the configuration.

    Returns:
        Sentences to be printed; none where all is well. Caps are not looked at: who applies them says so.

    Raises:
        ValueError: pictures are broken, or have another size than their annotations are for; or of `Selection.choose`.
    """

    def read(split: Split) -> CocoAnnotations:
        with warnings.catch_warnings():  # they were given when the data module read the same file
            warnings.simplefilter("ignore")
            annotations = read_annotations(split)
        assert isinstance(annotations.records, Records)
        check_headers(annotations.records, split.annotations, limits.read.channels)
        return annotations

    parts = selected_parts(sources, selection, selection.choose(sources, read), limits.resize)
    shared = Counter(part.split for part in parts)
    said: list[str] = []
    for part in parts:
        where = f"{part.split.annotations}{f' ({part.name})' if shared[part.split] > 1 else ''}"
        findings = Findings(part.name)
        if not part.learnt:
            for train in (train for train in parts if train.learnt):
                check_same_files(train.records, part.records, findings)
        check_sizes(part.content, part.records.ids(), findings)
        for found in findings.all():
            sentence = f"{where}: {found.told()} (ids {', '.join(map(str, found.first))})"
            if found.what == SAME:
                said.insert(0, f"warning: {sentence}: AP tells there what was learnt by heart")
            else:
                said.append(sentence)
        boxes = sample_boxes(part.content.boxes)
        if part.learnt and len(boxes):
            half, most = shares(best_iou(boxes, *limits.shapes))
            if half < REACHED:
                said.append(f"{where}: anchors reach {half:.1%} of the objects at IoU 0.5, {most:.1%} at 0.7")
    return said
