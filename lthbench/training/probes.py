"""Probes: measurements outside a training, on examples that were paid for. They run in the worker."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lthbench.pruning.tensors import Tensors, mapped

Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]
"""One call is one pass over the examples that were paid for: images [B, C, H, W] and labels [B]."""


class Probe(Protocol):
    """A frozen dataclass, with a `version` that enters keys. It is given a private module; what it leaves there is lost.

    `passes`: how often it goes over the examples, which is what it is charged. `mask` is boolean, by parameter name.
    """

    @property
    def passes(self) -> int: ...

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Gradients:
    """The gradient of the mean cross-entropy over the examples, by parameter name, dense: pruned weights have one too.

    `temperature` divides the logits. `train_mode`: batch-norm by the batch, dropout off in either mode.
    """

    passes: int = 1
    temperature: float = 1.0
    train_mode: bool = True
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        _set_mode(model, self.train_mode)
        params = dict(model.named_parameters())
        total = mapped(torch.zeros_like, {name: p.detach() for name, p in params.items()})
        seen = 0
        for _ in range(self.passes):
            for images, labels in batches():
                loss = F.cross_entropy(model(images).float() / self.temperature, labels, reduction="sum")
                for name, grad in zip(params, torch.autograd.grad(loss, list(params.values())), strict=True):
                    total[name] += grad
                seen += len(labels)
        return mapped(lambda t: t / seen, total)


def _set_mode(model: nn.Module, train: bool) -> None:
    model.train(train)
    for layer in model.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.eval()
