"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# On a CPU with AVX-512, torch 2.13's oneDNN writes beyond its memory: in the backward of a 1x1 convolution of stride 2
# with 8 channels or fewer. The tests' small models have such; with 12 channels and more it was not seen.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


@pytest.fixture(scope="session", autouse=True)
def caches_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Annotations that a test reads are not kept on the machine, nor taken from there."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder
