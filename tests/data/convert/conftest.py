import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.data.annotations import CocoAnnotations, read_annotations
from maskrcnn.data.convert.annotated import Annotated
from maskrcnn.data.convert.coco import write_coco
from maskrcnn.data.source import Split


@pytest.fixture
def picture() -> Callable[[Path], Path]:
    """Writes a black picture 20 pixels high and 30 wide, with its folder."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
        return path

    return write


@pytest.fixture
def through_coco(tmp_path: Path) -> Callable[[Annotated], CocoAnnotations]:
    """Writes a data set as COCO and reads that as training does; a warning is an error."""

    def write_and_read(annotated: Annotated) -> CocoAnnotations:
        out = tmp_path / "written.json"
        write_coco(annotated, out)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return read_annotations(Split(annotated.root, out))

    return write_and_read
