"""A Triton kernel that gathers a batch from bytes: normalised, cropped at random and flipped, in one pass."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from lthbench.training.augment import Draws, padding

BLOCK = 1024  # values that a program writes


@triton.jit
def _cropped(images, values, index, top, left, flip, out, H, W, C, pad, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Write block `program_id(1)` of image `program_id(0)`, in channels-last memory."""
    image, at = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row, column, channel = at // (W * C), at // C % W, at % C
    column = tl.where(tl.load(flip + image), W - 1 - column, column)
    row += tl.load(top + image).to(tl.int32) - pad
    column += tl.load(left + image).to(tl.int32) - pad
    wanted = at < H * W * C
    inside = wanted & (row >= 0) & (row < H) & (column >= 0) & (column < W)
    byte = tl.load(images + ((tl.load(index + image) * H + row) * W + column) * C + channel, mask=inside, other=0)
    value = tl.load(values + byte.to(tl.int32) * C + channel, mask=inside, other=0.0)
    tl.store(out + image.to(tl.int64) * H * W * C + at, value, mask=wanted)


def cropped(images: Tensor, values: Tensor, index: Tensor, draws: Draws) -> Tensor:
    """Return the examples at these indices [B] after the augmentation `crop-flip`, float32 [B, C, H, W], with its bits.

    `images` are uint8 [N, H, W, C], `values` [256, C] the normalised value of each byte in each channel.
    """
    _, height, width, channels = images.shape
    shape = (len(index), channels, height, width)
    out = torch.empty(shape, device=images.device, memory_format=torch.channels_last)
    grid = (len(index), triton.cdiv(height * width * channels, BLOCK))
    with torch.cuda.device_of(images):
        _cropped[grid](
            images, values, index, draws["top"], draws["left"], draws["flip"], out, height, width, channels, padding(height),
            BLOCK=BLOCK,
        )  # fmt: skip
    return out
