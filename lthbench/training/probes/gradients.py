"""Derivatives of the loss by the weights, and scores computed from them."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lthbench.pruning.tensors import Tensors, mapped
from lthbench.training.probes.probe import Batches, logits_of, set_mode, zero_pruned


@dataclass(frozen=True)
class Gradients:
    """The gradient of the mean cross-entropy over the examples, by parameter name.

    It is dense: pruned weights have one too. `temperature` divides the logits. With `train_mode`, batch-norm uses the
    batch. Dropout is off in either mode.
    """

    passes: int = 1
    temperature: float = 1.0
    train_mode: bool = True
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        set_mode(model, self.train_mode)
        params = dict(model.named_parameters())
        total = mapped(torch.zeros_like, {name: p.detach() for name, p in params.items()})
        seen = 0
        for _ in range(self.passes):
            for images, labels in batches():
                loss = _loss(model, images, labels, self.temperature)
                for name, grad in zip(params, torch.autograd.grad(loss, list(params.values())), strict=True):
                    total[name] += grad
                seen += len(labels)
        return mapped(lambda t: t / seen, total)


@dataclass(frozen=True)
class HessianGradient:
    """H g by parameter name: the Hessian of the mean cross-entropy times its gradient, over all weights that remain.

    As in GraSP, Wang et al., ICLR 2020, arXiv:2002.07376: one pass for g and one for the products. `temperature`
    divides the logits. Batch-norm uses the batch, and dropout is off.
    """

    temperature: float = 1.0
    passes: ClassVar[int] = 2
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        gradient = Gradients(temperature=self.temperature)(model, mask, batches)
        gradient |= {name: gradient[name] * keep for name, keep in mask.items()}
        params = dict(model.named_parameters())
        total = mapped(torch.zeros_like, gradient)
        seen = 0
        for images, labels in batches():
            loss = _loss(model, images, labels, self.temperature)
            slopes = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            along = torch.stack([(gradient[n] * slope).sum() for n, slope in zip(params, slopes, strict=True)]).sum()
            products = torch.autograd.grad(along, list(params.values()), materialize_grads=True)
            for name, product in zip(params, products, strict=True):
                total[name] += product
            seen += len(labels)
        return mapped(lambda t: t / seen, total)


@dataclass(frozen=True)
class Sensitivity:
    """|∂L/∂c| at c = mask for the network with weights c · w: SNIP's connection sensitivity, for all prunable weights.

    Lee et al., ICLR 2019, arXiv:1810.02340. A weight that the mask removes scores |w · gradient of the masked network|
    if the module still holds its value, which is how FORCE lets it come back. If its value is zero, it scores zero.
    """

    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        weights = {name: model.get_parameter(name).detach().clone() for name in mask}
        zero_pruned(model, mask)
        gradient = Gradients()(model, mask, batches)
        return {name: (gradient[name] * w).abs() for name, w in weights.items()}


def _loss(model: nn.Module, images: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the sum of the cross-entropies of a batch."""
    return F.cross_entropy(logits_of(model, images).float() / temperature, labels, reduction="sum")
