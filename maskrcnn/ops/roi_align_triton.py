"""RoIAlign on the GPU: bilinear samples gathered forward, and backward each cell of the features gathers its gradient.

The backward pass adds nothing from two places at once: a program owns a tile of 8 x 8 cells, goes through the regions
that touch it in a fixed order, and writes it once. So it is deterministic, sums in float32, and needs neither a buffer
of zeros nor atomics. What regions give to a tile is a matrix product: [cells, bins] weights with [bins, channels].
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 8  # cells along each side of what a program of the backward pass owns
BINS = 64  # bins that it reads at a time
CHANNELS = 128  # channels of a program


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    rows,
    place,
    geometry,
    pooled,
    channels,
    height: tl.constexpr,
    width: tl.constexpr,
    SAMPLING: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A row of bins of one region."""
    region = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1)
    channel = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    j = tl.arange(0, WIDTH)
    first = tl.load(place + region * 3)
    cells_y = tl.load(place + region * 3 + 1).to(tl.float32)
    columns = tl.load(place + region * 3 + 2)
    cells_x = columns.to(tl.float32)
    start_y = tl.load(geometry + region * 4)
    start_x = tl.load(geometry + region * 4 + 1)
    bin_y = tl.load(geometry + region * 4 + 2)
    bin_x = tl.load(geometry + region * 4 + 3)
    wanted = (j < width)[:, None] & (channel < channels)[None, :]
    total = tl.zeros((WIDTH, BLOCK), tl.float32)
    for a in tl.static_range(SAMPLING):
        y = start_y + i * bin_y + (a + 0.5) / SAMPLING * bin_y
        share_y = tl.where((y >= -1) & (y <= cells_y), 1.0 / SAMPLING, 0.0)
        y = tl.minimum(tl.maximum(y, 0.0), cells_y - 1)
        low_y = tl.floor(y)
        part_y = y - low_y
        top = first + low_y.to(tl.int64) * columns
        bottom = first + tl.minimum(low_y + 1, cells_y - 1).to(tl.int64) * columns
        for b in tl.static_range(SAMPLING):
            x = start_x + j * bin_x + (b + 0.5) / SAMPLING * bin_x
            share = share_y * tl.where((x >= -1) & (x <= cells_x), 1.0 / SAMPLING, 0.0)
            x = tl.minimum(tl.maximum(x, 0.0), cells_x - 1)
            low_x = tl.floor(x)
            part_x = x - low_x
            left = low_x.to(tl.int64)
            right = tl.minimum(low_x + 1, cells_x - 1).to(tl.int64)
            corner = rows + channel[None, :]
            top_left = tl.load(corner + (top + left)[:, None] * channels, mask=wanted, other=0.0).to(tl.float32)
            top_right = tl.load(corner + (top + right)[:, None] * channels, mask=wanted, other=0.0).to(tl.float32)
            low_left = tl.load(corner + (bottom + left)[:, None] * channels, mask=wanted, other=0.0).to(tl.float32)
            low_right = tl.load(corner + (bottom + right)[:, None] * channels, mask=wanted, other=0.0).to(tl.float32)
            total += top_left * (share * (1 - part_y) * (1 - part_x))[:, None]
            total += top_right * (share * (1 - part_y) * part_x)[:, None]
            total += low_left * (share * part_y * (1 - part_x))[:, None]
            total += low_right * (share * part_y * part_x)[:, None]
    out = ((region * height + i) * width + j)[:, None] * channels + channel[None, :]
    tl.store(pooled + out, total.to(pooled.dtype.element_ty), mask=wanted)


@triton.jit
def _weights(start, bin_size, bins, cells, limit, SAMPLING: tl.constexpr):  # type: ignore[no-untyped-def]
    """What each cell of an axis gives to each bin, [cells, bins]: bilinear weights are hats around the samples."""
    total = tl.zeros((cells.shape[0], bins.shape[0]), tl.float32)
    for a in tl.static_range(SAMPLING):
        sample = start + bins * bin_size + (a + 0.5) / SAMPLING * bin_size
        share = tl.where((sample >= -1) & (sample <= limit), 1.0 / SAMPLING, 0.0)
        sample = tl.minimum(tl.maximum(sample, 0.0), limit - 1)
        hat = tl.maximum(1 - tl.abs(cells[:, None] - sample[None, :]), 0.0)
        total += hat * share[None, :]
    return total


# One kernel for all levels: whether a number is 1 or a multiple of 16 changes nothing here.
@triton.jit(do_not_specialize=["count", "level", "levels", "first", "rows", "columns"])
def _backward(  # type: ignore[no-untyped-def]
    gradient,
    geometry,
    order,
    bounds,
    out,
    count,
    level,
    levels,
    first,
    rows,
    columns,
    channels,
    height: tl.constexpr,
    width: tl.constexpr,
    SAMPLING: tl.constexpr,
    SPLIT: tl.constexpr,
    TILE: tl.constexpr,
    BINS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A tile of one level of one image; `geometry` [4, count] and `order` are sorted by image and level."""
    image = tl.program_id(1)
    across = tl.cdiv(columns, TILE)
    tile_y = tl.program_id(0) // across * TILE
    tile_x = tl.program_id(0) % across * TILE
    channel = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    cell = tl.arange(0, TILE * TILE)
    y = tile_y + cell // TILE
    x = tile_x + cell % TILE
    limit_y = rows + 0.0
    limit_x = columns + 0.0
    at = tl.load(bounds + image * levels + level)
    end = tl.load(bounds + image * levels + level + 1)
    total = tl.zeros((TILE * TILE, BLOCK), tl.float32)
    while at < end:
        candidate = at + tl.arange(0, 128)
        inside = candidate < end
        start_y = tl.load(geometry + candidate, mask=inside, other=0.0)
        start_x = tl.load(geometry + count + candidate, mask=inside, other=0.0)
        stop_y = start_y + height * tl.load(geometry + 2 * count + candidate, mask=inside, other=0.0)
        stop_x = start_x + width * tl.load(geometry + 3 * count + candidate, mask=inside, other=0.0)
        # Samples lie between start and stop, clamped to the level; each reaches less than a cell further.
        low_y = tl.minimum(tl.maximum(tl.minimum(start_y, stop_y), 0.0), limit_y - 1)
        low_x = tl.minimum(tl.maximum(tl.minimum(start_x, stop_x), 0.0), limit_x - 1)
        high_y = tl.minimum(tl.maximum(tl.maximum(start_y, stop_y), 0.0), limit_y - 1)
        high_x = tl.minimum(tl.maximum(tl.maximum(start_x, stop_x), 0.0), limit_x - 1)
        hit = inside & (low_y < tile_y + TILE) & (high_y > tile_y - 1)
        hit = hit & (low_x < tile_x + TILE) & (high_x > tile_x - 1)
        following = tl.where(hit, candidate, end)
        one = tl.min(following, axis=0)
        while one < end:
            region = tl.load(order + one)
            one_y = tl.load(geometry + one)
            one_x = tl.load(geometry + count + one)
            bin_y = tl.load(geometry + 2 * count + one)
            bin_x = tl.load(geometry + 3 * count + one)
            for chunk in range(0, height * width, BINS):
                index = chunk + tl.arange(0, BINS)
                real = index < height * width
                weight = _weights(one_y, bin_y, (index // width).to(tl.float32), y.to(tl.float32), limit_y, SAMPLING)
                weight *= _weights(one_x, bin_x, (index % width).to(tl.float32), x.to(tl.float32), limit_x, SAMPLING)
                source = gradient + (region * (height * width) + index)[:, None] * channels + channel[None, :]
                values = tl.load(source, mask=real[:, None] & (channel < channels)[None, :], other=0.0)
                if SPLIT:  # 16-bit values: two products give the weights 16 bits, as tensor cores take no float32
                    high = weight.to(values.dtype)
                    total = tl.dot(high, values, total)
                    total = tl.dot((weight - high.to(tl.float32)).to(values.dtype), values, total)
                else:  # three products of tensor cores, as near to float32 as its own rounding
                    total = tl.dot(weight, values, total, input_precision="tf32x3")
            following = tl.where(following > one, following, end)
            one = tl.min(following, axis=0)
        at += 128
    row = first + (image.to(tl.int64) * rows + y) * columns + x
    wanted = ((y < rows) & (x < columns))[:, None] & (channel < channels)[None, :]
    tl.store(out + row[:, None] * channels + channel[None, :], total.to(out.dtype.element_ty), mask=wanted)


@torch.library.custom_op(
    "maskrcnn::roi_align",
    mutates_args=(),
    schema="(Tensor rows, Tensor place, Tensor geometry, Tensor segment, SymInt[] sizes, SymInt images, int height, "
    "int width, int sampling) -> Tensor",
)
def roi_align(
    rows: Tensor,
    place: Tensor,
    geometry: Tensor,
    segment: Tensor,
    sizes: list[int],
    images: int,
    height: int,
    width: int,
    sampling: int,
) -> Tensor:
    """Pools regions of a feature table.

    Args:
        rows: [R, C] float32, bfloat16 or float16: `FeatureTable.rows`.
        place: [N, 3] int64, of the map that a region reads: its first row in the table, its height and width.
        geometry: [N, 4] float32 in cells: y and x where the region starts, height and width of its bins.
        segment: [N] int64, image * levels + level.
        sizes: height and width of each level, one after the other; images: B.
        height, width: bins of the output; sampling: samples along each axis of a bin, at least 1.

    Returns:
        [N, height, width, C].
    """
    rows, place, geometry = rows.contiguous(), place.contiguous(), geometry.contiguous()
    count, channels = place.shape[0], rows.shape[1]
    pooled = rows.new_empty(count, height, width, channels)
    block = min(triton.next_power_of_2(channels), 2 * CHANNELS)
    if count:
        with torch.cuda.device_of(rows):
            _forward[(count, height, triton.cdiv(channels, block))](
                rows,
                place,
                geometry,
                pooled,
                channels,
                height,
                width,
                SAMPLING=sampling,
                WIDTH=triton.next_power_of_2(width),
                BLOCK=block,
                num_warps=4,
            )
    return pooled


@roi_align.register_fake
def _(
    rows: Tensor,
    place: Tensor,
    geometry: Tensor,
    segment: Tensor,
    sizes: list[int],
    images: int,
    height: int,
    width: int,
    sampling: int,
) -> Tensor:
    return rows.new_empty(place.shape[0], height, width, rows.shape[1])


@torch.library.custom_op(
    "maskrcnn::roi_align_backward",
    mutates_args=(),
    schema="(Tensor gradient, Tensor geometry, Tensor segment, SymInt[] sizes, SymInt images, int sampling) -> Tensor",
)
def roi_align_backward(
    gradient: Tensor, geometry: Tensor, segment: Tensor, sizes: list[int], images: int, sampling: int
) -> Tensor:
    """The gradient [R, C] of the table's rows, of that of the pooled regions [N, height, width, C]."""
    gradient = gradient.contiguous()
    count, height, width, channels = gradient.shape
    shapes = list(zip(sizes[::2], sizes[1::2]))
    out = gradient.new_empty(images * sum(h * w for h, w in shapes), channels)
    segment, order = segment.sort(stable=True)
    bounds = torch.searchsorted(segment, torch.arange(images * len(shapes) + 1, device=segment.device))
    geometry = geometry[order].T.contiguous()
    split = gradient.dtype != torch.float32
    # float32 takes twice the registers; more than there are would be kept in memory.
    block = min(max(triton.next_power_of_2(channels), 16), CHANNELS if split else CHANNELS // 2)
    first = 0
    for level, (h, w) in enumerate(shapes):
        with torch.cuda.device_of(gradient):
            _backward[(triton.cdiv(h, TILE) * triton.cdiv(w, TILE), images, triton.cdiv(channels, block))](
                gradient,
                geometry,
                order,
                bounds,
                out,
                count,
                level,
                len(shapes),
                first,
                h,
                w,
                channels,
                height,
                width,
                SAMPLING=sampling,
                SPLIT=split,
                TILE=TILE,
                BINS=BINS,
                BLOCK=block,
                num_warps=4,
            )
        first += images * h * w
    return out


@roi_align_backward.register_fake
def _(gradient: Tensor, geometry: Tensor, segment: Tensor, sizes: list[int], images: int, sampling: int) -> Tensor:
    cells = images * sum(h * w for h, w in zip(sizes[::2], sizes[1::2]))
    return gradient.new_empty(cells, gradient.shape[3])


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, _, geometry, segment, sizes, images, _, _, sampling = inputs
    ctx.save_for_backward(geometry, segment)
    ctx.sizes, ctx.images, ctx.sampling = sizes, images, sampling


def _differentiate(ctx, gradient):  # type: ignore[no-untyped-def]
    geometry, segment = ctx.saved_tensors
    rows = torch.ops.maskrcnn.roi_align_backward(gradient, geometry, segment, ctx.sizes, ctx.images, ctx.sampling)
    return rows, None, None, None, None, None, None, None, None


roi_align.register_autograd(_differentiate, setup_context=_save)
