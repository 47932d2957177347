"""The recall funnel as a chart."""

from typing import Any

from maskrcnn.inspection.buckets import BUCKETS
from maskrcnn.page.stacked import Bar, Kind, stacked

CLASSES = 30  # that are shown, those that lost the most first


def draw_funnel(counts: dict[str, Any]) -> str:
    """What share of all objects, of each class and of each size was lost where, as SVG.

    Args:
        counts: of `count_lost`.
    """

    def bar(name: str, row: dict[str, Any]) -> Bar:
        return Bar(name, row["objects"], [row["lost"][bucket.name] for bucket in BUCKETS])

    classes = [bar(name, row) for name, row in counts["classes"].items()]
    if len(classes) > CLASSES:
        classes = sorted(classes, key=lambda one: -sum(one.parts))[:CLASSES]
    sizes = [bar(name, row) for name, row in counts["sizes"].items() if row["objects"]]
    kinds = [Kind(bucket.title, bucket.colour) for bucket in BUCKETS]
    return stacked("share of objects that were missed", kinds, [bar("all", counts["all"]), *sizes, *classes])
