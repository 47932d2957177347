"""Average precision on parts of the validation data that the command line names."""

from typing import Any

from rich.console import Console
from rich.table import Table

from maskrcnn.config.suggest import suggest
from maskrcnn.data.attributes import read_attributes
from maskrcnn.data.datamodule import CocoDataModule
from maskrcnn.engine.console import say
from maskrcnn.evaluation.coco import CocoEvaluator
from maskrcnn.evaluation.expression import Expression
from maskrcnn.evaluation.slices import OF_OBJECTS, OF_PICTURES, Attributes, slice_scores
from maskrcnn.report.section import number


class Slices:
    """Conditions on pictures and objects, by name.

    Args:
        conditions: such as {"crowded": "n_objects > 20"}, see `maskrcnn.evaluation.slices`; besides the names there,
            those in the data's annotation files can be used, which are then read once more.
        data: after `setup`.

    Raises:
        ValueError: a condition is none, or asks for a name that is not known.
    """

    def __init__(self, conditions: dict[str, str], data: CocoDataModule) -> None:
        self.conditions = {}
        for name, text in conditions.items():
            try:
                self.conditions[name] = Expression(text)
            except ValueError as error:
                raise ValueError(f"slices.{name}: {error}") from error
        self.attributes = Attributes({}, {})
        known = {*OF_PICTURES, *OF_OBJECTS}
        if any(name not in known for condition in self.conditions.values() for name in condition.names):
            files = read_attributes(data.validation_files(), data.val_annotations.records)
            self.attributes = Attributes(files.pictures, files.objects)
            known |= {name for part in self.attributes for values in part.values() for name in values}
        for name, condition in self.conditions.items():
            for asked in condition.names:
                if asked not in known:
                    raise ValueError(f"slices.{name}: unknown name '{asked}'. {suggest(asked, known)}".rstrip())

    def score(self, evaluator: CocoEvaluator, console: Console) -> dict[str, Any]:
        """Scores each, and prints a table: {name: {"condition", "pictures", "objects", "bbox/AP", "bbox/AP50",
        "bbox/AR", "segm/AP", ...}}.
        """
        table = Table("slice", "pictures", "objects", "box AP", "mask AP", "mask AP50", title="parts of the data")
        found = {}
        for name, condition in self.conditions.items():
            try:
                part = slice_scores(evaluator, condition, self.attributes)
            except ValueError as error:
                raise ValueError(f"slices.{name}: {error}") from error
            shown = (number(part.scores[key]) for key in ("bbox/AP", "segm/AP", "segm/AP50"))
            table.add_row(name, str(part.pictures), str(part.objects), *shown)
            found[name] = {
                "condition": condition.text,
                "pictures": part.pictures,
                "objects": part.objects,
                **part.scores,
            }
        if found:
            console.print(table)
        for name, scores in found.items():
            if not scores["pictures"]:
                say(console, f"slices.{name}: nothing has {scores['condition']}")
        return found
