"""Training curves."""

import numpy as np

from maskrcnn.page.lines import Line, colour, legend, lines
from maskrcnn.report.section import section
from maskrcnn.structures import Losses

Points = list[tuple[float, float]]
MOST = 250  # points of a line; a longer one is averaged down to as many


def training_section(curves: dict[str, Points]) -> str:
    """Precision, losses and learning rate along a run.

    Args:
        curves: points of each metric along optimiser steps, ascending, by the names of metrics.csv.
    """
    rates = {str(points): name for name, points in curves.items() if name.startswith("lr-")}  # equal ones once
    charts = [
        _chart("average precision", {"mask AP": "segm/AP", "box AP": "bbox/AP"}, curves, 1.0),
        _chart("loss", {"training": "train/loss", "validation": "val/loss"}, curves),
        _chart("parts of the training loss", {name: f"train/{name}" for name in Losses._fields}, curves),
        _chart("parts of the validation loss", {name: f"val/{name}" for name in Losses._fields}, curves),
        _chart("learning rate", {name.removeprefix("lr-"): name for name in rates.values()}, curves),
    ]
    return section("Training", *charts)


def _chart(title: str, metrics: dict[str, str], curves: dict[str, Points], highest: float | None = None) -> str:
    """Those of the metrics, by the names to show, that were logged."""
    drawn = [
        Line(name, colour(place), thin(curves[metric]))
        for place, (name, metric) in enumerate(metrics.items())
        if curves.get(metric)
    ]
    return lines(title, "step", drawn, highest, legend(drawn) if len(metrics) > 1 else "") if drawn else ""


def thin(points: Points) -> Points:
    """At most `MOST` points: each the mean of as many neighbours."""
    if len(points) <= MOST:
        return points
    means = [part.mean(axis=0).tolist() for part in np.array_split(np.array(points), MOST)]
    return [(x, y) for x, y in means]
