"""Augmentations on the device, each in two parts: the random draws, and the images made from them.

`images` are [B, C, H, W] and normalised, so that 0 is the mean colour. Draws are made on the device of the generator. A
CPU generator therefore gives the same crops, flips and holes on every device, and the draws of a whole epoch can be
made beforehand.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Draws = Mapping[str, Tensor]
"""The draws of an augmentation for a batch, by name: [B] each."""

Side = int | Tensor

TRIES = 10  # rectangles drawn for each random resized crop, as in torchvision


@dataclass(frozen=True)
class Augmentation:
    """A pair of functions: `draw(count, height, width, generator)` returns Draws, and `apply(images, draws)` draws
    nothing.

    Images and draws are on one device. `uncropped` is what is left of it where images have been cut out of larger ones by
    `rectangles` when they were decoded; None for an augmentation that cuts no rectangle.
    """

    draw: Callable[[int, int, int, Generator], Draws]
    apply: Callable[[Tensor, Draws], Tensor]
    uncropped: "Augmentation | None" = None

    def __call__(self, images: Tensor, g: Generator) -> Tensor:
        """Draw and apply."""
        count, _, height, width = images.shape
        draws = self.draw(count, height, width, g)
        return self.apply(images, {name: t.to(images.device) for name, t in draws.items()})

    def then(self, other: "Augmentation") -> "Augmentation":
        """Return this augmentation followed by another, whose draws have other names."""

        def draw(count: int, height: int, width: int, g: Generator) -> Draws:
            return {**self.draw(count, height, width, g), **other.draw(count, height, width, g)}

        uncropped = self.uncropped and self.uncropped.then(other)
        return Augmentation(draw, lambda images, draws: other.apply(self.apply(images, draws), draws), uncropped)


def _corners(count: int, height: int, width: int, g: Generator) -> Draws:
    pad = padding(height)
    top, left = (torch.randint(0, 2 * pad + 1, (count,), generator=g) for _ in range(2))
    return {"top": top, "left": left, "flip": torch.randint(0, 2, (count,), generator=g).bool()}


def padding(side: int) -> int:
    """Return the pixels of padding on each side, before a crop."""
    return max(1, side // 8)


def _cropped_and_flipped(images: Tensor, draws: Draws) -> Tensor:
    """Crop at random after zero padding by an eighth of the side (4 at 32 pixels), and flip left to right at random.

    The padding is the mean colour. He et al., CVPR 2016.
    """
    count, _, height, width = images.shape
    pad = padding(height)
    across = torch.arange(width, device=images.device)
    rows = draws["top"][:, None] + torch.arange(height, device=images.device)
    columns = torch.where(draws["flip"][:, None], width - 1 - across, across) + draws["left"][:, None]
    padded = F.pad(images, (pad, pad, pad, pad))
    batch = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _rectangle(count: int, height: int, width: int, g: Generator) -> Draws:
    names = ("top", "left", "height", "width")
    return dict(zip(names, rectangles(count, height, width, g), strict=True))


def _resized(images: Tensor, draws: Draws) -> Tensor:
    """Enlarge a random rectangle to the size of the image: 8 to 100 % of the area, aspect ratio 3/4 to 4/3, bilinear.

    Szegedy et al., CVPR 2015, arXiv:1409.4842, with the draws of torchvision's RandomResizedCrop: the area is uniform
    and the ratio is uniform in its logarithm. The first of ten rectangles that fits is used, else the whole image.
    """
    return resized_crop(images, draws["top"], draws["left"], draws["height"], draws["width"])


def rectangles(count: int, height: Side, width: Side, g: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw the top, left, height and width of random rectangles, int64 [count] each, on the generator's device.

    `height` and `width` are those of all images, or int64 [count, 1] with those of each.
    """
    area = height * width * _uniform((count, TRIES), 0.08, 1.0, g)
    ratio = _uniform((count, TRIES), math.log(3 / 4), math.log(4 / 3), g).exp()
    w, h = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.long().argmax(1, keepdim=True)
    some = fits.any(1)
    whole = [side.squeeze(1) if isinstance(side, Tensor) else side for side in (height, width)]
    h, w = (
        torch.where(some, sides.gather(1, first).squeeze(1), side) for sides, side in zip((h, w), whole, strict=True)
    )
    top, left = (_below(side - part + 1, g) for side, part in zip(whole, (h, w), strict=True))
    return top, left, h, w


def resized_crop(images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Enlarge a rectangle of each image to the size of the image: bilinear, using no pixel outside of it."""
    above, below, down = _between(top, height, images.shape[2], images.dtype)
    before, behind, right = _between(left, width, images.shape[3], images.dtype)
    batch = torch.arange(len(images), device=images.device)[:, None]
    last = images.permute(0, 2, 3, 1)
    rows = torch.lerp(last[batch, above], last[batch, below], down[:, :, None, None])
    where = batch[..., None], torch.arange(images.shape[2], device=images.device)[:, None]
    one, other = rows[(*where, before[:, None])], rows[(*where, behind[:, None])]
    return torch.lerp(one, other, right[:, None, :, None]).permute(0, 3, 1, 2)


def _centres(count: int, height: int, width: int, g: Generator) -> Draws:
    sides = {"row": height, "column": width}
    return {name: torch.randint(0, n, (count,), generator=g, device=g.device) for name, n in sides.items()}


def _cut_out(images: Tensor, draws: Draws) -> Tensor:
    """Cut a square hole of half the side (16 at 32 pixels) and fill it with the mean colour.

    It may extend past the border. The centre is uniform over the pixels. DeVries and Taylor 2017, arXiv:1708.04552,
    whose holes on CIFAR-10 are 16 pixels wide (8 on CIFAR-100, 20 on SVHN).
    """
    half = max(1, images.shape[2] // 4)
    row, column = draws["row"][:, None], draws["column"][:, None]
    rows, columns = (torch.arange(n, device=images.device) for n in images.shape[2:])
    down = (rows >= row - half) & (rows < row + half)
    across = (columns >= column - half) & (columns < column + half)
    return images.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0.0)


def _halves(count: int, height: int, width: int, g: Generator) -> Draws:
    return {"flip": torch.randint(0, 2, (count,), generator=g, device=g.device).bool()}


def _mirrored(images: Tensor, draws: Draws) -> Tensor:
    """Flip half of the images left to right."""
    return torch.where(draws["flip"][:, None, None, None], images.flip(3), images)


def _uniform(shape: tuple[int, ...], low: float, high: float, g: Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=g, device=g.device, dtype=torch.float64)


def _below(bound: Tensor, g: Generator) -> Tensor:
    """Draw integers from 0 to below each bound."""
    return (torch.rand(bound.shape, generator=g, device=g.device, dtype=torch.float64) * bound).long()


def _between(start: Tensor, length: Tensor, side: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each of `side` sample points, the two pixels around it and its distance from the first: [B, side]
    each."""
    places = (torch.arange(side, device=start.device, dtype=torch.float64) + 0.5) * (length[:, None] / side) - 0.5
    places = places.clamp(min=0).minimum((length[:, None] - 1).double())
    low = places.floor().long()
    high = (low + 1).minimum(length[:, None] - 1)
    return start[:, None] + low, start[:, None] + high, (places - low).to(dtype)


none = Augmentation(lambda count, height, width, g: {}, lambda images, draws: images)
crop_flip = Augmentation(_corners, _cropped_and_flipped)
random_resized_crop = Augmentation(_rectangle, _resized, uncropped=none)
cutout = Augmentation(_centres, _cut_out)
mirror = Augmentation(_halves, _mirrored)

AUGMENTATIONS = {
    "none": none,
    "crop-flip": crop_flip,
    "random-resized-crop": random_resized_crop,
    "random-resized-crop-flip": random_resized_crop.then(mirror),
    "cutout": cutout,
    "crop-flip-cutout": crop_flip.then(cutout),
}
