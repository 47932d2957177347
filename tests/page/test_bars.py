"""Names and numbers of bars."""

import numpy as np

from maskrcnn.page.bars import histogram


def test_whole_numbers_are_in_one_bin_by_its_name() -> None:
    counts = histogram(np.array([0, 1, 1, 2, 4, 5, 9]), [0, 1, 2, 5], "")
    assert counts == {"0": 1, "1": 2, "2 to 4": 2, "from 5": 2}
    sizes = histogram(np.array([0.5, 3.9, 4.0]), [0, 4, 8], " px")
    assert sizes == {"0 to 4 px": 2, "4 to 8 px": 1, "from 8 px": 0}
