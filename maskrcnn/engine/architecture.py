"""Weights of another architecture, told by what their configuration has otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maskrcnn.config.difference import differing, told
from maskrcnn.config.later import renew
from maskrcnn.modeling.weights import OtherArchitecture, read


@contextmanager
def explained(config: dict[str, Any]) -> Iterator[None]:
    """Within it, a checkpoint of ours that does not fit is told by the keys of its configuration, not by its tensors.

    Args:
        config: of the model that it does not fit.

    Raises:
        OtherArchitecture: weights do not fit the model.
    """
    try:
        yield
    except OtherArchitecture as error:
        stored = read(error.path).get("maskrcnn")
        keys = [] if stored is None else _differences(renew(stored["config"], error.path), config)
        if not keys:
            raise
        raise OtherArchitecture(error.path, error.given, keys) from error


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    pairs = list(differing(there["model"], here["model"], "model"))
    pairs += differing(there["data"]["channels"], here["data"]["channels"], "data.channels")
    return [f"{key}={told(old)} there, {told(new)} here" for key, old, new in pairs]
