import torch
from torch import Tensor

from maskrcnn.ops.masks import crop_masks


def test_own_box_is_averaged_exactly() -> None:
    # 8 x 8 cells to 4 x 4 with two samples an axis: a sample is a cell's centre, a result the mean of 2 x 2.
    masks = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0.0, 0, 8, 8], [10, 20, 26, 52], [-3, -3, 1, 1]])
    out = crop_masks(masks, torch.full((3, 2), 8), boxes, boxes, 4, 2)
    torch.testing.assert_close(out, masks.view(3, 4, 2, 4, 2).mean(dim=(2, 4)))


def test_by_eye() -> None:
    # A full 2 x 2 px square seen from a region twice as large around it: 1 inside, 0 outside, cells of 1 px.
    box, region = torch.tensor([[1.0, 1, 3, 3]]), torch.tensor([[0.0, 0, 4, 4]])
    out = crop_masks(torch.ones(1, 112, 112), torch.tensor([[112, 112]]), box, region, 4, 2)
    expected = torch.zeros(4, 4)
    expected[1:3, 1:3] = 1
    torch.testing.assert_close(out[0], expected)


def test_equals_sampling_point_by_point() -> None:
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(6, 6, generator=generator)
    box, region = torch.tensor([2.0, 3, 9, 12]), torch.tensor([4.0, 1, 11, 7])
    out = crop_masks(mask[None], torch.tensor([[6, 6]]), box[None], region[None], 5, 3)[0]

    def value(x: float, y: float) -> float:
        u, v = (x - 2) / 7 * 6 - 0.5, (y - 3) / 9 * 6 - 0.5
        return sum(
            mask[r, c].item() * max(0, 1 - abs(u - c)) * max(0, 1 - abs(v - r)) for r in range(6) for c in range(6)
        )

    for i in range(5):
        for j in range(5):
            samples = [
                value(4 + (j + (a + 0.5) / 3) * 7 / 5, 1 + (i + (b + 0.5) / 3) * 6 / 5)
                for a in range(3)
                for b in range(3)
            ]
            assert abs(out[i, j].item() - sum(samples) / 9) < 1e-5


def test_fewer_cells_in_use_are_the_same_mask() -> None:
    # 3 x 2 pixels, as they are and stretched over all 12 x 12 cells: constant up to the outer pixels' centres.
    pixels = torch.tensor([[0.2, 1.0], [0.6, 0.0], [1.0, 0.4]])
    few = torch.full((1, 12, 12), 9.0)
    few[0, :3, :2] = pixels

    def linear(values: Tensor, count: int) -> Tensor:
        """Linear interpolation of the first axis at the centres of `count` cells, in loops."""
        positions = [min(max((i + 0.5) * len(values) / count - 0.5, 0), len(values) - 1) for i in range(count)]
        return torch.stack([sum(max(0, 1 - abs(p - j)) * v for j, v in enumerate(values)) for p in positions])  # type: ignore[misc]

    full = linear(linear(pixels, 12).T, 12).T[None]
    box = torch.tensor([[2.0, 3, 14, 15]])
    args = (torch.tensor([[12, 12]]), box)
    torch.testing.assert_close(crop_masks(few, torch.tensor([[3, 2]]), box, box, 12, 1), full)
    # Outside the box, where nothing but the fall to 0 is left, and over its corner.
    for region in ([-4.0, -9, 1.4, 2.4], [1.5, 2.5, 3.5, 4.5]):
        regions = torch.tensor([region])
        got = crop_masks(few, torch.tensor([[3, 2]]), box, regions, 2, 1)
        torch.testing.assert_close(got, crop_masks(full, *args, regions, 2, 1))
