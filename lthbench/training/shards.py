"""Sharded batches: the parts of one batch, which several devices compute side by side.

The number of parts is set by the recipe and enters the result. The assignment of parts to devices does not. Every part
is normalised by its own statistics, as under DistributedDataParallel without synchronised batch-norm. The gradients and
the running statistics are averaged in the order of the parts.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lthbench.pruning.tensors import Tensors, mapped
from lthbench.training.kernels.forward import Forward

T = TypeVar("T")

Numerics = Callable[[torch.device], AbstractContextManager[object]]
"""The context in which a thread computes on a device."""


@dataclass(frozen=True)
class Part:
    """A part of a batch on its device: images, labels, its share of the batch, a forward pass of the module that no other
    thread uses, and a copy of the module's buffers."""

    first: bool
    device: torch.device
    forward: Forward
    images: Tensor
    labels: Tensor
    share: float
    buffers: dict[str, Tensor]

    def there(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return tensors on this part's device."""
        return mapped(lambda t: t.to(self.device), tensors)


class Shards:
    """`count` parts of a batch, assigned to `devices` in turn. The first device is that of the module.

    With `numerics`, several devices compute side by side, each driven by a thread of its own: a thread that drove them
    all would launch the kernels of one after those of another. `forward` makes the forward pass of a module.
    """

    def __init__(
        self,
        module: nn.Module,
        count: int,
        devices: Sequence[torch.device],
        forward: Callable[[nn.Module], Forward],
        numerics: Numerics | None = None,
    ):
        self._module, self._numerics = module, numerics
        self._devices = [devices[part % len(devices)] for part in range(count)]
        apart = set(self._devices) if numerics else set()
        self._threads = {device: ThreadPoolExecutor(1) for device in apart if len(apart) > 1}
        # a call with other weights puts them into the module for a moment, so no two threads share one
        own = {device: copy.deepcopy(module) for device in self._threads}
        self._forwards = {device: forward(own.get(device, module)) for device in set(self._devices)}

    def each(self, work: Callable[[Part], T], images: Tensor, labels: Tensor) -> Iterator[T]:
        """Do the work of each part of a batch. Yields what it returns, in the order of the parts.

        At the end the running statistics become the mean over the parts.
        """
        parts = list(self.split(images, labels))
        yield from self._side_by_side(work, parts) if self._threads else map(work, parts)
        self._settle([part.buffers for part in parts])

    def split(self, images: Tensor, labels: Tensor) -> Iterator[Part]:
        """Split a batch into its parts, whose sizes differ by at most one."""
        count = len(self._devices)
        parts = zip(images.tensor_split(count), labels.tensor_split(count), self._devices, strict=True)
        for i, (some, theirs, device) in enumerate(parts):
            if len(some):
                buffers = {name: t.to(device, copy=True) for name, t in self._module.named_buffers()}
                share, forward = len(some) / len(images), self._forwards[device]
                yield Part(i == 0, device, forward, some.to(device), theirs.to(device), share, buffers)

    def _side_by_side(self, work: Callable[[Part], T], parts: Sequence[Part]) -> list[T]:
        """Do the work of each device in its thread. Every thread has ended its work where one raises."""
        numerics = self._numerics
        assert numerics

        def computed(part: Part) -> T:
            with numerics(part.device):
                return work(part)

        futures = [self._threads[part.device].submit(computed, part) for part in parts]
        wait(futures)
        return [future.result() for future in futures]

    def _settle(self, seen: Sequence[Tensors]) -> None:
        """Set the running statistics to the mean over the parts."""
        with torch.no_grad():
            for name, buffer in self._module.named_buffers():
                after = [buffers[name].to(buffer.device) for buffers in seen]
                buffer.copy_(torch.stack(after).mean(0) if buffer.is_floating_point() else after[0])
