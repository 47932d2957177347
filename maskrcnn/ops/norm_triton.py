"""Scale, shift, sum with a shortcut and ReLU in one pass over memory, on the GPU; backward likewise in one."""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096  # numbers of a program


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    x,
    scale,
    shift,
    shortcut,
    out,
    pixels,
    channels,
    SHORTCUT: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    at = row[:, None] * channels + channel[None, :]
    inside = (row < pixels)[:, None] & (channel < channels)[None, :]
    factor = tl.load(scale + channel, mask=channel < channels, other=0.0)[None, :]
    offset = tl.load(shift + channel, mask=channel < channels, other=0.0)[None, :]
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) * factor + offset
    if SHORTCUT:
        value += tl.load(shortcut + at, mask=inside, other=0.0).to(tl.float32)
    value = tl.where(value <= 0, 0.0, value)  # leaves NaN, where a maximum would hide it
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    gradient,
    out,
    scale,
    to_x,
    to_shortcut,
    pixels,
    channels,
    SHORTCUT: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    at = row[:, None] * channels + channel[None, :]
    inside = (row < pixels)[:, None] & (channel < channels)[None, :]
    factor = tl.load(scale + channel, mask=channel < channels, other=0.0)[None, :]
    passed = tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32)
    passed = tl.where(tl.load(out + at, mask=inside, other=0.0).to(tl.float32) <= 0, 0.0, passed)
    tl.store(to_x + at, (passed * factor).to(to_x.dtype.element_ty), mask=inside)
    if SHORTCUT:
        tl.store(to_shortcut + at, passed.to(to_shortcut.dtype.element_ty), mask=inside)


def _shape(x: Tensor) -> tuple[int, int, int, int]:
    """Pixels and channels, and how many of each a program takes."""
    channels = x.shape[1]
    block = min(triton.next_power_of_2(channels), 256)
    return x.numel() // channels, channels, TILE // block, block


class ScaleShiftReLU(torch.autograd.Function):
    """relu(x * scale + shift + shortcut) of x [B, C, H, W] and a shortcut alike, or none.

    Scale and shift [C], float32, are constants. In memory channels come last. 16-bit numbers are computed with in
    float32 and rounded once.
    """

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, shift: Tensor, shortcut: Tensor | None) -> Tensor:  # type: ignore[no-untyped-def]
        x = x.contiguous(memory_format=torch.channels_last)
        if shortcut is not None:
            shortcut = shortcut.contiguous(memory_format=torch.channels_last)
        out = torch.empty_like(x)
        pixels, channels, rows, block = _shape(x)
        grid = (triton.cdiv(pixels, rows), triton.cdiv(channels, block))
        with torch.cuda.device_of(x):
            _forward[grid](
                x,
                scale,
                shift,
                x if shortcut is None else shortcut,
                out,
                pixels,
                channels,
                SHORTCUT=shortcut is not None,
                ROWS=rows,
                BLOCK=block,
                num_warps=4,
            )
        ctx.save_for_backward(out, scale)
        ctx.shortcut = shortcut is not None
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, Tensor | None]:  # type: ignore[no-untyped-def, override]
        out, scale = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        to_x = torch.empty_like(gradient)
        to_shortcut = torch.empty_like(gradient) if ctx.shortcut else None
        pixels, channels, rows, block = _shape(gradient)
        grid = (triton.cdiv(pixels, rows), triton.cdiv(channels, block))
        with torch.cuda.device_of(gradient):
            _backward[grid](
                gradient,
                out,
                scale,
                to_x,
                to_x if to_shortcut is None else to_shortcut,
                pixels,
                channels,
                SHORTCUT=ctx.shortcut,
                ROWS=rows,
                BLOCK=block,
                num_warps=4,
            )
        return to_x, None, None, to_shortcut
