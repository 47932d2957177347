"""One node of a composed configuration, as a notebook takes it."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from maskrcnn.config.build import build as build_plain
from maskrcnn.config.check import check_nodes


def build(node: DictConfig, plugins: list[str] | None = None) -> Any:
    """Makes what a node of a composed configuration describes: a data module of `config.data`; of `config.model` a
    function that makes the detector from the numbers of classes and of channels.

    Args:
        node: of `compose`, so that it follows the rest of its configuration.
        plugins: packages of yours that it may name.

    Raises:
        ValueError: it is refused; the message says what to change.
    """
    key, plain = node._get_full_key(None), OmegaConf.to_container(node, resolve=True)
    check_nodes(plain, key, plugins or [])
    return build_plain(plain, plugins or [], key)
