"""The cells around single cells, against slices of padded maps."""

import torch
import torch.nn.functional as F

from maskrcnn.ops.windows import cell_windows

SIZES = [(3, 5), (2, 3), (1, 2)]
ALL = sum(height * width for height, width in SIZES)


def test_windows_are_slices_of_padded_levels() -> None:
    generator = torch.Generator().manual_seed(0)
    features = tuple(torch.randn(2, 4, *size, generator=generator) for size in SIZES)
    every = torch.arange(ALL)
    for radius in (0, 1, 2):
        windows, inside = cell_windows(features, torch.stack((every, every.flip(0))), radius)
        side = 2 * radius + 1
        wanted, within = [], []
        for level in features:
            padded = F.pad(level, [radius] * 4)
            ones = F.pad(torch.ones_like(level[:, 0]), [radius] * 4)
            for y in range(level.shape[2]):
                for x in range(level.shape[3]):
                    wanted.append(padded[:, :, y : y + side, x : x + side].permute(0, 2, 3, 1))
                    within.append(ones[:, y : y + side, x : x + side, None])
        slices, borders = torch.stack(wanted, dim=1), torch.stack(within, dim=1) == 1
        torch.testing.assert_close(windows, torch.stack((slices[0], slices[1].flip(0))), rtol=0, atol=0)
        assert torch.equal(inside, torch.stack((borders[0], borders[1].flip(0))))


def test_a_cell_has_the_gradients_of_all_windows_that_it_lies_in() -> None:
    features = tuple(torch.zeros(1, 1, *size, requires_grad=True) for size in SIZES)
    # Twice the corner of the first level, once the one cell below its right end, and the second level's last.
    windows, _ = cell_windows(features, torch.tensor([[0, 0, 9, 15 + 5]]), radius=1)
    windows.sum().backward()
    first, second, third = (level.grad for level in features)
    assert first is not None and second is not None and third is not None
    assert first[0, 0].tolist() == [[2, 2, 0, 1, 1], [2, 2, 0, 1, 1], [0, 0, 0, 1, 1]]
    assert second[0, 0].tolist() == [[0, 1, 1], [0, 1, 1]]
    assert third[0, 0].tolist() == [[0, 0]]
