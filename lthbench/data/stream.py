"""Batches of a data set that stays on disk: read, transformed and stacked by worker processes, in a fixed order.

What a batch holds is a function of the indices, the transform and (seed, order, epoch, its number): never of the number
of workers, of what was read before, or of timing.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from lthbench import keys
from lthbench.data.packed import OnDisk

Transform = Callable[[Tensor], Tensor]
"""Of one image, uint8 [C, H, W] in and out, random by torch's global generator as those of torchvision's v2 are."""


@dataclass(frozen=True)
class Task:
    """A batch to be made: positions in the split, and the seed of its transforms, None for none."""

    index: tuple[int, ...]
    seed: int | None = None


class Clock(Protocol):
    """What `epoch` asks of lthbench.training.recipe.Clock."""

    @property
    def size(self) -> int: ...
    @property
    def batch(self) -> int: ...


class Recipe(Protocol):
    """What `epoch` asks of lthbench.training.recipe.Recipe."""

    @property
    def examples(self) -> int | None: ...


class Stream:
    """Normalised images and labels from disk; `epoch` and `batch` give what those of training.feed.Feed give.

    `index`: the positions in the split that this stream is of, all by default; indices count among these. `workers`
    processes read ahead, none: this one reads. They start with the first pass over `batches` and stay until `close`;
    one pass at a time, a new one ends the one before. A process that is a daemon may not have any.
    """

    def __init__(
        self,
        split: OnDisk,
        device: torch.device,
        transform: Transform | None = None,
        workers: int = 0,
        index: Tensor | None = None,
    ):
        self.device, self.manifest, self._making = device, split.manifest, Batches(split, transform)
        labels = torch.from_numpy(split.arrays[1])
        self._index = torch.arange(len(labels)) if index is None else index.cpu()
        self.labels = labels[self._index].to(device)
        self._workers = workers
        self._tasks: list[Task] = []
        self._loader: DataLoader[Any] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def epoch(self, clock: Clock, recipe: Recipe, seed: int, order: int, epoch: int) -> list[Tensor]:
        """The batches of one epoch, as indices: those of Feed.epoch."""
        shuffled = torch.randperm(clock.size, generator=_generator("order", seed, order, epoch))
        if recipe.examples is not None:
            every = torch.randperm(len(self), generator=_generator("examples", seed, 0))
            shuffled = every[: recipe.examples][shuffled]
        return list(shuffled.split(clock.batch))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images float32 [B, C, H, W] and labels [B] of some examples, untransformed: those of Feed.batch."""
        return self._ready(self._making[Task(self._positions(index))])

    def batches(
        self, lists: Sequence[Tensor], seed: int, order: int, epoch: int, first: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Transformed images and labels of lists of indices, in order.

        `first` is the number in the epoch of the first of the lists, for a training that goes on in the middle of it.
        """
        self._tasks[:] = [
            Task(self._positions(index), keys.seed("stream", seed, order, epoch, first + number))
            for number, index in enumerate(lists)
        ]
        return map(self._ready, islice(self._started(), len(lists)))

    def close(self) -> None:
        """End the worker processes."""
        self._loader = None

    def _started(self) -> Iterator[Any]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)  # more workers than cores
            self._loader = self._loader or DataLoader(
                self._making,
                batch_size=None,
                sampler=self._tasks,
                num_workers=self._workers,
                persistent_workers=self._workers > 0,
                multiprocessing_context="spawn" if self._workers else None,
                pin_memory=self.device.type == "cuda",
                generator=Generator(),  # else the loader draws from the global one
            )
            return iter(self._loader)

    def _positions(self, index: Tensor) -> tuple[int, ...]:
        return tuple(self._index[index.cpu()].tolist())

    def _ready(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """On the device, normalised by the training split's mean and deviation, with the arithmetic of Feed.images."""
        images, labels = (t.to(self.device, non_blocking=True) for t in batch)
        mean, std = (
            torch.tensor(v, dtype=torch.float64, device=self.device)[:, None, None]
            for v in (self.manifest.mean, self.manifest.std)
        )
        return ((images.to(torch.float64) - mean) / std).to(torch.float32), labels


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Makes batches, in whichever process it is: images uint8 [B, C, H, W] and labels [B]."""

    def __init__(self, split: OnDisk, transform: Transform | None):
        self.split, self.transform = split, transform

    def __getitem__(self, task: Task) -> tuple[Tensor, Tensor]:
        images, labels = self.split.arrays
        index = np.array(task.index, dtype=np.int64)
        chosen = torch.from_numpy(images[index]).permute(0, 3, 1, 2)
        if self.transform is not None and task.seed is not None:
            chosen = self._transformed(self.transform, chosen, task.seed)
        return chosen.contiguous(), torch.from_numpy(labels[index])

    def _transformed(self, transform: Transform, images: Tensor, seed: int) -> Tensor:
        """The transforms draw from the global generator, which is seeded for this batch and put back."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return torch.stack([transform(image) for image in images])


def _generator(*parts: str | int) -> Generator:
    return Generator().manual_seed(keys.seed(*parts))
