"""Triton kernels of batch-norm with the sum and the activation that follow it: two forward, two backward.

Maps are rows: [N, C, H, W] in channels-last memory is [N·H·W, C]. A pass over the rows takes two kernels. In the first
one, program i adds up a chunk of the rows into partial sums [2, chunks, C]. In the second one, every program adds up
the partial sums in the same order, and then computes its own rows. So no sum depends on the order in which programs run.
Sums, statistics and weights are fp32; maps are read and written in their own type.
"""

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

MOST_CHUNKS = 64
ELEMENTS = 4096  # that a program has in registers at once
WARPS = 4


@triton.jit
def _rows(first, last, C, start, ROWS: tl.constexpr, CHANNELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the positions of a block of rows and channels, and which of them exist."""
    row, channel = first + tl.arange(0, ROWS), start + tl.arange(0, CHANNELS)
    return row[:, None].to(tl.int64) * C + channel[None, :], (row[:, None] < last) & (channel[None, :] < C)


@triton.jit
def _summed(partial, channel, C, chunks, CHUNKS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Add up the two partial sums of each channel over the chunks."""
    chunk = tl.arange(0, CHUNKS)
    at, exists = chunk[:, None] * C + channel[None, :], (chunk[:, None] < chunks) & (channel[None, :] < C)
    one = tl.sum(tl.load(partial + at, mask=exists, other=0.0), 0)
    other = tl.sum(tl.load(partial + chunks * C + at, mask=exists, other=0.0), 0)
    return one, other


@triton.jit
def _stops(value, ACTIVATION: tl.constexpr):  # type: ignore[no-untyped-def]
    """Tell where the activation stops its gradient, by the value before it (relu: also by the value after it).

    As in torch, it passes where the value is not a number.
    """
    stops = value <= 0.0
    if ACTIVATION == "relu6":
        stops = stops | (value >= 6.0)
    return stops


VARYING = ["M", "per_chunk", "chunks"]  # one build serves all of their values


@triton.jit(do_not_specialize=VARYING)
def statistics(x, partial, M, C, per_chunk, chunks, ROWS: tl.constexpr, CHANNELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Write partial sums of x - x0 and (x - x0)², where x0 is the first row, so that no large mean cancels the variance."""
    chunk, start = tl.program_id(0), tl.program_id(1) * CHANNELS
    channel = start + tl.arange(0, CHANNELS)
    shift = tl.load(x + channel, mask=channel < C, other=0.0).to(tl.float32)
    first, last = chunk * per_chunk, tl.minimum((chunk + 1) * per_chunk, M)
    one, other = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    for row in range(first, last, ROWS):
        at, exists = _rows(row, last, C, start, ROWS, CHANNELS)
        value = tl.where(exists, tl.load(x + at, mask=exists, other=0.0).to(tl.float32) - shift[None, :], 0.0)
        one += tl.sum(value, 0)
        other += tl.sum(value * value, 0)
    tl.store(partial + chunk * C + channel, one, mask=channel < C)
    tl.store(partial + (chunks + chunk) * C + channel, other, mask=channel < C)


@triton.jit(do_not_specialize=VARYING)
def normalise(  # type: ignore[no-untyped-def]
    x, shortcut, weight, bias, partial, y, kept, running_mean, running_var, momentum, eps, M, C, per_chunk, chunks,
    ACTIVATION: tl.constexpr, SHORTCUT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """Write y = activation(bn(x) + shortcut), mean and 1/deviation as `kept` [2, C], and the running statistics."""
    chunk, start = tl.program_id(0), tl.program_id(1) * CHANNELS
    channel = start + tl.arange(0, CHANNELS)
    real = channel < C
    one, other = _summed(partial, channel, C, chunks, CHUNKS)
    offset = one / M
    mean = tl.load(x + channel, mask=real, other=0.0).to(tl.float32) + offset
    variance = tl.maximum(other / M - offset * offset, 0.0, tl.PropagateNan.ALL)
    inverse = 1.0 / tl.sqrt(variance + eps)
    if chunk == 0:
        tl.store(kept + channel, mean, mask=real)
        tl.store(kept + C + channel, inverse, mask=real)
        old, old_var = tl.load(running_mean + channel, mask=real), tl.load(running_var + channel, mask=real)
        tl.store(running_mean + channel, (1 - momentum) * old + momentum * mean, mask=real)
        unbiased = variance * (M / (M - 1.0))
        tl.store(running_var + channel, (1 - momentum) * old_var + momentum * unbiased, mask=real)
    scale = inverse * tl.load(weight + channel, mask=real, other=0.0)
    added = tl.load(bias + channel, mask=real, other=0.0)
    first, last = chunk * per_chunk, tl.minimum((chunk + 1) * per_chunk, M)
    for row in range(first, last, ROWS):
        at, exists = _rows(row, last, C, start, ROWS, CHANNELS)
        value = tl.load(x + at, mask=exists, other=0.0).to(tl.float32)
        value = (value - mean[None, :]) * scale[None, :] + added[None, :]
        if SHORTCUT:
            value += tl.load(shortcut + at, mask=exists, other=0.0).to(tl.float32)
        if ACTIVATION != "":
            value = tl.maximum(value, 0.0, tl.PropagateNan.ALL)
        if ACTIVATION == "relu6":
            value = tl.minimum(value, 6.0, tl.PropagateNan.ALL)
        tl.store(y + at, value.to(y.dtype.element_ty), mask=exists)


@triton.jit
def _layer(kept, weight, bias, channel, C):  # type: ignore[no-untyped-def]
    """Return mean, 1/deviation, weight/deviation and bias of each channel."""
    real = channel < C
    mean = tl.load(kept + channel, mask=real, other=0.0)
    inverse = tl.load(kept + C + channel, mask=real, other=0.0)
    scale = inverse * tl.load(weight + channel, mask=real, other=0.0)
    return mean, inverse, scale, tl.load(bias + channel, mask=real, other=0.0)


@triton.jit
def _gradient(  # type: ignore[no-untyped-def]
    grad, x, y, at, exists, mean, scale, added, ACTIVATION: tl.constexpr, FROM_Y: tl.constexpr
):
    """Return the gradient before the activation, and x - mean. Without a shortcut, y need not be read."""
    g = tl.load(grad + at, mask=exists, other=0.0).to(tl.float32)
    centred = tl.where(exists, tl.load(x + at, mask=exists, other=0.0).to(tl.float32) - mean[None, :], 0.0)
    if ACTIVATION != "":
        value = centred * scale[None, :] + added[None, :]
        if FROM_Y:
            value = tl.load(y + at, mask=exists, other=0.0).to(tl.float32)
        g = tl.where(_stops(value, ACTIVATION), 0.0, g)
    return g, centred


@triton.jit(do_not_specialize=VARYING)
def gradient_sums(  # type: ignore[no-untyped-def]
    grad, x, y, weight, bias, kept, partial, to_shortcut, M, C, per_chunk, chunks,
    ACTIVATION: tl.constexpr, SHORTCUT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Write partial sums of g and g (x - mean), and g by the shortcut. g is the gradient before the activation."""
    chunk, start = tl.program_id(0), tl.program_id(1) * CHANNELS
    channel = start + tl.arange(0, CHANNELS)
    mean, _, scale, added = _layer(kept, weight, bias, channel, C)
    first, last = chunk * per_chunk, tl.minimum((chunk + 1) * per_chunk, M)
    one, other = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    for row in range(first, last, ROWS):
        at, exists = _rows(row, last, C, start, ROWS, CHANNELS)
        g, centred = _gradient(grad, x, y, at, exists, mean, scale, added, ACTIVATION, SHORTCUT)
        one += tl.sum(g, 0)
        other += tl.sum(g * centred, 0)
        if SHORTCUT:
            tl.store(to_shortcut + at, g.to(to_shortcut.dtype.element_ty), mask=exists)
    tl.store(partial + chunk * C + channel, one, mask=channel < C)
    tl.store(partial + (chunks + chunk) * C + channel, other, mask=channel < C)


@triton.jit(do_not_specialize=VARYING)
def gradients(  # type: ignore[no-untyped-def]
    grad, x, weight, bias, kept, partial, to_x, to_weight, to_bias, M, C, per_chunk, chunks,
    ACTIVATION: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """Write the gradients by x, the weight and the bias."""
    chunk, start = tl.program_id(0), tl.program_id(1) * CHANNELS
    channel = start + tl.arange(0, CHANNELS)
    one, other = _summed(partial, channel, C, chunks, CHUNKS)
    mean, inverse, scale, added = _layer(kept, weight, bias, channel, C)
    if chunk == 0:
        tl.store(to_weight + channel, other * inverse, mask=channel < C)
        tl.store(to_bias + channel, one, mask=channel < C)
    constant, slope = one / M, other * inverse * inverse / M
    first, last = chunk * per_chunk, tl.minimum((chunk + 1) * per_chunk, M)
    for row in range(first, last, ROWS):
        at, exists = _rows(row, last, C, start, ROWS, CHANNELS)
        g, centred = _gradient(grad, x, x, at, exists, mean, scale, added, ACTIVATION, False)
        value = (g - constant[None, :] - centred * slope[None, :]) * scale[None, :]
        tl.store(to_x + at, value.to(to_x.dtype.element_ty), mask=exists)


class Grid:
    """The division of rows [M, C] among programs. It depends on M and C alone, and so do the orders of sums."""

    def __init__(self, maps: Tensor):
        self.channels = maps.shape[1]
        self.rows = maps.numel() // self.channels
        width = min(64, triton.next_power_of_2(self.channels))
        block = ELEMENTS // width
        blocks = triton.cdiv(self.rows, block)
        self.per_chunk = triton.cdiv(blocks, MOST_CHUNKS) * block
        self.chunks = triton.cdiv(self.rows, self.per_chunk)
        self.programs = (self.chunks, triton.cdiv(self.channels, width))
        self.shape = (self.rows, self.channels, self.per_chunk, self.chunks)
        self.blocks: dict[str, Any] = {"ROWS": block, "CHANNELS": width, "num_warps": WARPS}
