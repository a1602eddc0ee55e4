"""Pipelines of torchvision's v2 transforms for streamed data, of one image uint8 [C, H, W], by name.

They draw from the distributions of lthbench.training.augment, with other numbers: a stream transforms uint8 images of
any size one by one in its workers, the augmentations normalised batches on the device.
"""

from collections.abc import Callable

from torchvision.transforms import v2

from lthbench.data.manifest import Manifest

Maker = Callable[[Manifest, int], v2.Transform]


def centre(manifest: Manifest, side: int) -> v2.Transform:
    """The square in the centre, for validation and test."""
    return v2.CenterCrop(side)


def crop_flip(manifest: Manifest, side: int) -> v2.Transform:
    """Random crop after padding an eighth of the side with the mean colour, random flip. He et al., CVPR 2016."""
    fill = [round(channel) for channel in manifest.mean]
    padding = max(1, side // 8)
    return v2.Compose([v2.RandomCrop(side, padding=padding, fill=fill), v2.RandomHorizontalFlip()])


def random_resized_crop_flip(manifest: Manifest, side: int) -> v2.Transform:
    """8 to 100 % of the area at a ratio of 3/4 to 4/3, resized, random flip. Szegedy et al., CVPR 2015."""
    return v2.Compose([v2.RandomResizedCrop(side, antialias=True), v2.RandomHorizontalFlip()])


TRANSFORMS: dict[str, Maker] = {
    "none": centre,
    "crop-flip": crop_flip,
    "random-resized-crop-flip": random_resized_crop_flip,
}
