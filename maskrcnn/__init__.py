"""Mask R-CNN, trained from configurations.

From Python: `maskrcnn.load("best.ckpt").predict(image)`, and `config = maskrcnn.compose(["backbone=resnet101"])` with
`maskrcnn.build(config.model)` (docs/extending.md).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskrcnn.commands.predictor import load
    from maskrcnn.config.compose import compose
    from maskrcnn.config.node import build
    from maskrcnn.prediction.tiles import Tiling

__all__ = ["Tiling", "build", "compose", "load"]
_MODULES = {
    "Tiling": "maskrcnn.prediction.tiles", "build": "maskrcnn.config.node", "compose": "maskrcnn.config.compose",
    "load": "maskrcnn.commands.predictor",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # Late, so that a mistyped command line is answered before torch is loaded.
    if name not in _MODULES:
        raise AttributeError(f"module 'maskrcnn' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
