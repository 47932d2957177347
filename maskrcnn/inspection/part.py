"""What a run selects of a data set, file by file."""

from typing import NamedTuple

from maskrcnn.data.resize import Sizing
from maskrcnn.data.selection import Selected, Selection
from maskrcnn.data.source import Split, Splits
from maskrcnn.data.views import Shown, find_shown
from maskrcnn.inspection.content import Content, take_content
from maskrcnn.inspection.file import File


class Part(NamedTuple):
    """Pictures that are learnt, or that validate, of one file."""

    name: str  # train or val; of several data sets, after the set's name
    split: Split  # of the file
    records: Shown
    content: Content

    @property
    def learnt(self) -> bool:
        return self.name.endswith("train")


def selected_parts(sources: list[Splits], selection: Selection, selected: Selected, resize: Sizing) -> list[Part]:
    """What was selected of each file.

    Args:
        sources: where the files lie; selection: which chose from them; selected: what it chose.
        resize: of `take_content`.
    """
    trains = find_shown(selected.train.records)
    vals = iter(find_shown(selected.val.records))
    classes = selected.train.classes
    parts = []
    for source, train in zip(sources, trains, strict=True):
        if selection.divides:
            source = source._replace(val=source.train)
        for name, split in source.parts().items():
            shown = train if name.endswith("train") else next(vals)
            parts.append(Part(name, split, shown, take_content(shown, classes, resize)))
    return parts


def whole_part(file: File, resize: Sizing) -> Part:
    """A file as it is, where nothing can be selected."""
    (shown,) = find_shown(file.records)
    content = take_content(shown, file.annotations.classes, resize)
    return Part(file.findings.part, file.split, shown, content)
