"""The training examples on a device, and which of them each step sees."""

from functools import cached_property

import torch
from torch import Generator, Tensor

from lthbench import keys
from lthbench.data import Examples, Manifest
from lthbench.errors import MethodError
from lthbench.training.recipe import Clock, Recipe


class Feed:
    """Normalised images and labels on a device. Order and augmentation are functions of (seed, order, step)."""

    def __init__(self, examples: Examples, manifest: Manifest, device: torch.device):
        self._raw, self._manifest, self.device = examples, manifest, device
        self.labels = examples.labels.to(device)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def images(self) -> Tensor:
        """float32 [N, C, H, W], normalised by the training split's mean and deviation of each channel."""
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (self._manifest.mean, self._manifest.std))
        pixels = self._raw.images.to(torch.float64)
        return ((pixels - mean) / std).to(torch.float32).permute(0, 3, 1, 2).contiguous().to(self.device)

    def subset(self, count: int | None, seed: int, stream: int = 0) -> Tensor:
        """Indices of a seeded subset: the first `count` of one shuffle, so that a larger one holds a smaller one."""
        if count is None:
            return torch.arange(len(self), device=self.device)
        shuffled = torch.randperm(len(self), generator=_generator("examples", seed, stream))
        return shuffled[:count].to(self.device)

    def per_class(self, count: int, seed: int, stream: int = 0) -> Tensor:
        """Indices of `count` seeded examples of every class."""
        shuffled = torch.randperm(len(self), generator=_generator("per class", seed, stream)).to(self.device)
        labels = self.labels[shuffled]
        chosen = [shuffled[labels == c][:count] for c in range(self._manifest.classes)]
        if few := [c for c, index in enumerate(chosen) if len(index) < count]:
            raise MethodError(
                f"per_class={count}: class {few[0]} has {len(chosen[few[0]])} training examples; ask for fewer"
            )
        return torch.cat(chosen)

    def epoch(self, clock: Clock, recipe: Recipe, seed: int, order: int, epoch: int) -> list[Tensor]:
        """The batches of one epoch, as indices."""
        shuffled = torch.randperm(clock.size, generator=_generator("order", seed, order, epoch)).to(self.device)
        if recipe.examples is not None:
            shuffled = self.subset(recipe.examples, seed)[shuffled]
        return list(shuffled.split(clock.batch))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels of some examples."""
        return self.images[index], self.labels[index]


def _generator(*parts: str | int) -> Generator:
    return Generator().manual_seed(keys.seed(*parts))


def step_generator(what: str, seed: int, order: int, step: int) -> Generator:
    """A generator for one step of one training."""
    return _generator(what, seed, order, step)
