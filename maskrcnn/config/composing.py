"""Hydra on `conf/`, beside one of a program that embeds this package."""

import contextlib
import threading
from collections.abc import Iterator

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase

from maskrcnn.config.groups import CONF

ONE_BY_ONE = threading.RLock()  # a process has one Hydra for all threads


@contextlib.contextmanager
def composing() -> Iterator[None]:
    """Has `hydra.compose` read `conf/` meanwhile, one thread at a time; a Hydra that runs already goes on later."""
    with ONE_BY_ONE:
        running, base = GlobalHydra.instance().hydra, VersionBase.instance().version_base
        GlobalHydra.instance().clear()
        try:
            with hydra.initialize_config_dir(str(CONF), JobRuntime.instance().get("name"), version_base="1.3"):
                yield
        finally:
            GlobalHydra.instance().hydra, VersionBase.instance().version_base = running, base
