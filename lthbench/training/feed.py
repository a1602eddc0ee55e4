"""The training examples on a device, and the batch of each step.

Images that fit on the device are resident there. Others are streamed from the packed data set batch by batch: a thread
reads the next batch while the device works on this one. Both give the same bits; the size only decides where images
are. Images that are packed as the bytes of their files are streamed and decoded; their random crops are cut out of the
whole image.
"""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.weak import WeakIdKeyDictionary

from lthbench import keys, system
from lthbench.data import EncodedExamples, Examples, Manifest
from lthbench.errors import MethodError
from lthbench.training.augment import AUGMENTATIONS, Augmentation, Draws, rectangles
from lthbench.training.clock import Clock
from lthbench.training.kernels.program import program
from lthbench.training.recipe import Recipe

CHUNK = 1024  # images that are normalised at once, in double precision


class Feed:
    """Normalised images and labels on a device. Order and augmentation are functions of (seed, order, step).

    Indices are on the CPU, from where they follow the work that is queued on a device without waiting for it.
    """

    resident = True  # a batch is already on the device

    def __init__(self, examples: Any, manifest: Manifest, device: torch.device):
        self._raw, self._manifest, self.device = examples, manifest, device
        self.shape, self.labels = manifest.shape, examples.labels.to(device)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _channels(self) -> tuple[Tensor, Tensor]:
        """The mean and deviation of each channel in the training split, on the device: made anew, it would be waited for."""
        mean, deviation = (
            torch.tensor(values, dtype=torch.float64, device=self.device)
            for values in (self._manifest.mean, self._manifest.std)
        )
        return mean, deviation

    @cached_property
    def images(self) -> Tensor:
        """Return float32 [N, C, H, W], normalised by the training split's mean and deviation of each channel."""
        raw = self._raw.images
        one = torch.ones(self._manifest.shape[0], dtype=torch.float64)
        layout = normalised(raw[:1], one, one).stride()  # of one channel, that of the raw images
        images = torch.empty_strided((len(self), *self._manifest.shape), layout, device=self.device)
        for part, there in zip(raw.split(CHUNK), images.split(CHUNK), strict=True):
            there.copy_(normalised(part.to(self.device), *self._channels))
        return images

    @cached_property
    def _bytes(self) -> tuple[Tensor, Tensor]:
        """The raw images uint8 [N, H, W, C] on the device, and the normalised value of each byte, float32 [256, C]."""
        each = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 1, 1, self._manifest.shape[0])
        values = normalised(each.to(self.device), *self._channels).view(256, -1)
        return self._raw.images.contiguous().to(self.device), values

    def subset(self, count: int | None, seed: int, stream: int = 0) -> Tensor:
        """Return the indices of a seeded subset: the first `count` of one shuffle, so that a larger one contains a
        smaller one."""
        if count is None:
            return torch.arange(len(self))
        return torch.randperm(len(self), generator=_generator("examples", seed, stream))[:count]

    def per_class(self, count: int, seed: int, stream: int = 0) -> Tensor:
        """Return the indices of `count` seeded examples of every class."""
        shuffled = torch.randperm(len(self), generator=_generator("per class", seed, stream))
        labels = self._raw.labels[shuffled]
        chosen = [shuffled[labels == c][:count] for c in range(self._manifest.classes)]
        if few := [c for c, index in enumerate(chosen) if len(index) < count]:
            raise MethodError(
                f"per_class={count}: class {few[0]} has {len(chosen[few[0]])} training examples; ask for fewer"
            )
        return torch.cat(chosen)

    def epoch(self, clock: Clock, recipe: Recipe, seed: int, order: int, epoch: int) -> list[Tensor]:
        """Return the batches of one epoch, as indices."""
        shuffled = torch.randperm(clock.size, generator=_generator("order", seed, order, epoch))
        if recipe.examples is not None:
            shuffled = self.subset(recipe.examples, seed)[shuffled]
        return self._expected(shuffled.split(clock.batch))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return images float32 [B, C, H, W] and labels [B] of the examples at these indices."""
        index = index.to(self.device, non_blocking=True)
        return self.images[index], self.labels[index]

    def augmented(self, index: Tensor, augment: Augmentation, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return the images and labels of a batch, after an augmentation with these draws."""
        if not self._gathers(augment):
            images, labels = self.batch(index)
            return augment.apply(images, draws), labels
        from lthbench.training.kernels.images import cropped  # Triton exists on CUDA alone

        index = index.to(self.device, non_blocking=True)
        return cropped(*self._bytes, index, draws), self.labels[index]

    def load(self, augment: Augmentation) -> None:
        """Bring to the device what the batches are made from."""
        if self._gathers(augment):
            _ = self._bytes
        else:
            self.batch(torch.zeros(1, dtype=torch.int64))

    def _gathers(self, augment: Augmentation) -> bool:
        """Tell whether a kernel makes the batches from bytes, with the same bits."""
        return self.resident and augment is AUGMENTATIONS["crop-flip"] and program(self.device) != "reference"

    def augmentation(self, recipe: Recipe) -> Augmentation:
        """Return the augmentation that is left to do on the images of a batch."""
        return AUGMENTATIONS[recipe.augment]

    def in_order(self, batch: int) -> Iterator[Tensor]:
        """Iterate over the images of all examples, `batch` at a time."""
        return iter(self.images.split(batch))

    def _expected(self, batches: Sequence[Tensor]) -> list[Tensor]:
        """Return the batches as a list, and note that they will be asked for one after another."""
        return list(batches)


class StreamedFeed(Feed):
    """A feed whose images stay on disk. `part` has the positions of its examples among `examples`."""

    resident = False

    def __init__(self, examples: Any, part: Tensor, manifest: Manifest, device: torch.device):
        super().__init__(replace(examples, labels=examples.labels[part]), manifest, device)
        self._part = part
        self._reader = ThreadPoolExecutor(1)
        self._after: WeakIdKeyDictionary = WeakIdKeyDictionary()  # from a batch's index to that of the batch after it
        self._read: WeakIdKeyDictionary = WeakIdKeyDictionary()  # from a batch's index to its images, once read

    @property
    def images(self) -> Tensor:
        raise MethodError("the images are streamed: ask for them batch by batch")

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        read = self._read.pop(index, None) or self._reading(index)
        following = self._after.get(index)
        if following is not None:
            self._read[following] = self._reading(following)
        raw = read.result().to(self.device, non_blocking=True)
        return normalised(raw, *self._channels), self.labels[index.to(self.device, non_blocking=True)]

    def in_order(self, batch: int) -> Iterator[Tensor]:
        return (self.batch(index)[0] for index in self._expected(torch.arange(len(self)).split(batch)))

    def _expected(self, batches: Sequence[Tensor]) -> list[Tensor]:
        for index, following in pairwise(batches):
            self._after[index] = following
        return list(batches)

    def _reading(self, index: Tensor) -> "Future[Tensor]":
        return self._reader.submit(self._from_disk, self._part[index])

    def _from_disk(self, positions: Tensor) -> Tensor:
        return self._pinned(self._raw.images.index_select(0, positions))

    def _pinned(self, raw: Tensor) -> Tensor:
        return raw.pin_memory() if self.device.type == "cuda" else raw


class EncodedFeed(StreamedFeed):
    """A streamed feed that decodes files with `threads` threads; their number changes no bit.

    The batches of an epoch whose augmentation cuts rectangles cut them out of the whole images. All other batches are the
    centres of images.
    """

    def __init__(
        self, examples: EncodedExamples, part: Tensor, manifest: Manifest, device: torch.device, threads: int = 0
    ):
        super().__init__(examples, part, manifest, device)
        self._decoders = ThreadPoolExecutor(threads or len(os.sched_getaffinity(0)))
        self._crops: WeakIdKeyDictionary = WeakIdKeyDictionary()  # from a batch's index to its seed, order and step

    def augmentation(self, recipe: Recipe) -> Augmentation:
        whole = super().augmentation(recipe)
        return whole.uncropped or whole

    def epoch(self, clock: Clock, recipe: Recipe, seed: int, order: int, epoch: int) -> list[Tensor]:
        batches = super().epoch(clock, recipe, seed, order, epoch)
        if AUGMENTATIONS[recipe.augment].uncropped:
            for step, index in enumerate(batches, epoch * clock.steps_per_epoch):
                self._crops[index] = seed, order, step
        return batches

    def _reading(self, index: Tensor) -> "Future[Tensor]":
        return self._reader.submit(self._decoded, self._part[index.cpu()], self._crops.get(index))

    def _decoded(self, positions: Tensor, crop: tuple[int, int, int] | None) -> Tensor:
        boxes = self._boxes(positions, step_generator("crop", *crop)) if crop else None
        return self._pinned(self._raw.decoded(positions, boxes, self._decoders))

    def _boxes(self, positions: Tensor, g: Generator) -> list[tuple[int, ...]]:
        height, width = self._raw.sizes[positions].split(1, dim=1)
        return [tuple(box) for box in torch.stack(rectangles(len(positions), height, width, g), 1).tolist()]


def feed(examples: Examples | EncodedExamples, part: Tensor, manifest: Manifest, device: torch.device) -> Feed:
    """Return a feed of a part of the examples: resident if its images fit in `image_memory`, else streamed."""
    if isinstance(examples, EncodedExamples):
        return EncodedFeed(examples, part, manifest, device)
    if 4 * len(part) * math.prod(manifest.shape) > image_memory(device):
        return StreamedFeed(examples, part, manifest, device)
    return Feed(examples[part], manifest, device)


def image_memory(device: torch.device) -> int:
    """Return the bytes that the images of one feed may take.

    On a GPU that is half of the free memory; on a CPU, half of the memory per core.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return system.memory() // (os.cpu_count() or 1) // 2


def normalised(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Normalise uint8 [N, H, W, C] to float32 [N, C, H, W] by the mean and deviation of each channel, float64 [C]."""
    return ((images.to(torch.float64) - mean) / deviation).to(torch.float32).permute(0, 3, 1, 2).contiguous()


def _generator(*parts: str | int) -> Generator:
    return Generator().manual_seed(keys.seed(*parts))


def step_generator(what: str, seed: int, order: int, step: int) -> Generator:
    """Return a generator for one step of one training."""
    return _generator(what, seed, order, step)
