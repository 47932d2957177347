"""Mask R-CNN, trained from configurations.

From Python: `maskrcnn.load("best.ckpt").predict(image)` and `maskrcnn.compose(["backbone=resnet101"])`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskrcnn.config.compose import compose
    from maskrcnn.engine.predictor import load
    from maskrcnn.prediction.tiles import Tiling

__all__ = ["Tiling", "compose", "load"]


def __getattr__(name: str) -> Any:
    # Late, so that a mistyped command line is answered before torch is loaded.
    if name == "load":
        from maskrcnn.engine.predictor import load

        return load
    if name == "Tiling":
        from maskrcnn.prediction.tiles import Tiling

        return Tiling
    if name == "compose":
        from maskrcnn.config.compose import compose

        return compose
    raise AttributeError(f"module 'maskrcnn' has no attribute {name!r}")
