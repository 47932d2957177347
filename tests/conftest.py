"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# torch 2.13's oneDNN writes beyond its memory on a CPU with AVX-512: in the backward of a 1x1 convolution of stride 2 with 8
# channels or fewer, which the tests' small models have and real ones (12 and more were tried) have not.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


@pytest.fixture(scope="session", autouse=True)
def caches_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Annotations that a test reads are not kept on the machine, nor taken from there."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder
