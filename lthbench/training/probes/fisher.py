"""The empirical Fisher matrix, from the gradients of single examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lthbench.errors import MethodError
from lthbench.pruning.tensors import Tensors, mapped
from lthbench.training.probes.probe import Batches

CHUNK = 16  # examples whose gradients are in memory at once


def per_example_gradients(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the gradient of the cross-entropy of each of B examples, by parameter: [B, *shape]. One pass.

    For use inside a probe. The module computes in the mode that it is in; batch-norm must be in evaluation mode.
    """
    params = mapped(Tensor.detach, dict(model.named_parameters()))

    def loss(params: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(model, params, (image[None],)).float(), label[None])

    found: dict[str, Tensor] = vmap(grad(loss), in_dims=(None, 0, 0))(params, images, labels)
    return found


@dataclass(frozen=True)
class PerExampleGradients:
    """E[g²] of the gradient g of one example's cross-entropy, by parameter and in its shape, in evaluation mode.

    It is the diagonal of the empirical Fisher matrix. With the square of Gradients(train_mode=False) taken off, it is the
    variance of the gradient over examples. The gradients themselves stay in the worker: a probe of your own has them from
    `per_example_gradients`.
    """

    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        total, seen = {name: torch.zeros_like(p) for name, p in model.named_parameters()}, 0
        for each in _each(model, batches):
            for name, g in each.items():
                total[name] += g.square().sum(0)
            seen += len(g)
        return {name: t.detach() / seen for name, t in total.items()}


@dataclass(frozen=True)
class BlockFisher:
    """Blocks along the diagonal of the empirical Fisher matrix E[g gᵀ], by prunable parameter, in evaluation mode.

    Each is [ceil(N / block), block, block] for N weights in the order of `flatten()`; the last block is filled up with
    zeros. A probe may return 16 numbers for each parameter, so `block` is at most 16. Singh and Alistarh, NeurIPS 2020,
    arXiv:2004.14340; Kurtic et al., EMNLP 2022, arXiv:2203.07259, use blocks of 50.
    """

    block: int = 16
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        if not 0 < self.block <= 16:
            raise MethodError(f"BlockFisher(block={self.block}): a block has 1 to 16 weights")
        total: dict[str, Tensor] = {}
        seen = 0
        for each in _each(model, batches):
            for name in mask:
                total[name] = total.get(name, 0.0) + self._products(each[name])
            seen += len(each[name])
        return mapped(lambda t: t / seen, total)

    def _products(self, gradients: Tensor) -> Tensor:
        """Return the sum over examples of g gᵀ, by block."""
        flat = gradients.flatten(1)
        blocks = F.pad(flat, (0, -flat.shape[1] % self.block)).unflatten(1, (-1, self.block)).transpose(0, 1)
        return blocks.mT @ blocks


def _each(model: nn.Module, batches: Batches) -> Iterator[dict[str, Tensor]]:
    """Yield the gradients of single examples, a few examples at a time."""
    model.eval()
    for images, labels in batches():
        for some, theirs in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
            yield per_example_gradients(model, some, theirs)
