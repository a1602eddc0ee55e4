"""Sharded batches: the parts of one batch, which several devices may compute side by side.

The number of parts is set by the recipe and enters the result. The assignment of parts to devices does not. Every part
is normalised by its own statistics, as under DistributedDataParallel without synchronised batch-norm. The gradients and
the running statistics are averaged in the order of the parts.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lthbench.pruning.tensors import Tensors, mapped


class Shards:
    """`count` parts of a batch, assigned to `devices` in turn. The first device is that of the module."""

    def __init__(self, module: nn.Module, count: int, devices: Sequence[torch.device]):
        self.module = module
        self._devices = [devices[part % len(devices)] for part in range(count)]
        self._seen: list[dict[str, Tensor]] = []  # buffers after each part

    def split(self, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Split a batch: yield images, labels and share of the batch of each part, on its device.

        Sizes differ by at most one.
        """
        parts = zip(
            images.tensor_split(len(self._devices)), labels.tensor_split(len(self._devices)), self._devices, strict=True
        )
        for some, theirs, device in parts:
            if len(some):
                yield some.to(device), theirs.to(device), len(some) / len(images)

    def forward(self, weights: Tensors, images: Tensor) -> Tensor:
        """Return the logits of one part, with weights copied to its device."""
        buffers = {name: t.to(images.device, copy=True) for name, t in self.module.named_buffers()}
        self._seen.append(buffers)
        there = mapped(lambda t: t.to(images.device), dict(self.module.named_parameters()) | dict(weights))
        logits: Tensor = functional_call(self.module, there | buffers, (images,))
        return logits

    def settle(self) -> None:
        """Set the running statistics to the mean over the parts, after the last one."""
        with torch.no_grad():
            for name, buffer in self.module.named_buffers():
                after = [seen[name].to(buffer.device) for seen in self._seen]
                buffer.copy_(torch.stack(after).mean(0) if buffer.is_floating_point() else after[0])
        self._seen.clear()
