"""Sizes of data sets as their authors publish them. They are enough to plan a suite before its data is there."""

from dataclasses import dataclass

from lthbench.data.packed.manifest import Manifest


@dataclass(frozen=True)
class Known:
    """The `shape` (channels, height, width) of a data set, its number of classes, and the sizes of both splits."""

    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int

    def manifest(self, name: str) -> Manifest:
        """Return a manifest to plan with. It has no fingerprints of examples: nothing can be run on it."""
        sizes = {"train": self.train, "test": self.test}
        return Manifest(name, self.classes, self.shape, (), (), sizes, dict.fromkeys(sizes, "not packed"))


KNOWN = {
    "cifar10": Known((3, 32, 32), 10, 50_000, 10_000),  # Krizhevsky 2009
    "cifar10-jpeg": Known((3, 32, 32), 10, 50_000, 10_000),  # the same images as JPEG
    "cifar10-jpeg-16": Known((3, 16, 16), 10, 50_000, 10_000),  # packed with --size 16, after Chrabaszcz et al. 2017
    "cifar100": Known((3, 32, 32), 100, 50_000, 10_000),  # Krizhevsky 2009
    "svhn": Known((3, 32, 32), 10, 73_257, 26_032),  # Netzer et al. 2011
    "mnist": Known((1, 28, 28), 10, 60_000, 10_000),  # LeCun et al. 1998
    "fashion-mnist": Known((1, 28, 28), 10, 60_000, 10_000),  # Xiao et al. 2017
    "tiny-imagenet": Known((3, 64, 64), 200, 100_000, 10_000),  # Le and Yang 2015
    "imagenet": Known(
        (3, 224, 224), 1000, 1_281_167, 50_000
    ),  # Russakovsky et al. 2015, packed with --size 224 --encoded
}
