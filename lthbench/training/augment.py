"""Augmentations on the device, each a function of a batch and a generator that the step seeds."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def none(images: Tensor, g: Generator) -> Tensor:
    return images


def crop_flip(images: Tensor, g: Generator) -> Tensor:
    """Random crop after zero padding by an eighth of the side (4 at 32 pixels), and random horizontal flip.

    `images` [B, C, H, W] normalised, so that the padding is the mean colour. He et al., CVPR 2016.
    """
    count, _, height, width = images.shape
    pad = max(1, height // 8)
    top = torch.randint(0, 2 * pad + 1, (count,), generator=g).to(images.device)
    left = torch.randint(0, 2 * pad + 1, (count,), generator=g).to(images.device)
    flip = torch.randint(0, 2, (count,), generator=g).bool().to(images.device)
    across = torch.arange(width, device=images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = torch.where(flip[:, None], width - 1 - across, across) + left[:, None]
    padded = F.pad(images, (pad, pad, pad, pad))
    batch = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


AUGMENTATIONS: dict[str, Callable[[Tensor, Generator], Tensor]] = {"none": none, "crop-flip": crop_flip}
