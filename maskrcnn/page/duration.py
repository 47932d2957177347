"""Spans of time in print."""

import math


def duration(seconds: float) -> str:
    """Seconds as people say them: "40 s", "5.2 min", "3.1 h"; a dash where they are not known."""
    if math.isnan(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
