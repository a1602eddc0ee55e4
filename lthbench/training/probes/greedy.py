"""Greedy forward selection: a few neurons of a hidden layer that together replace all of them."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lthbench.errors import MethodError
from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches

BLOCK = 2**18  # logits that are computed at once: 1 MB


@dataclass(frozen=True)
class GreedyForward:
    """The number of times that each neuron is chosen, `count` [N], until `neurons` different ones are.

    `loss` [steps] is the loss after each step. The layer `out` sees the network as the mean of its neurons, N w_j h_j.
    The selection starts from no neuron. Each step adds the neuron that most lowers the cross-entropy of the mean over
    those chosen; a neuron may be added again. After `patience` steps for each of the `neurons`, only new neurons are added.
    Wolfe et al., arXiv:2108.00259.
    """

    out: str
    neurons: int
    patience: int = 4
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 2

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        layer = model.get_submodule(self.out)
        if not isinstance(layer, nn.Linear) or not 0 < self.neurons <= layer.in_features:
            raise MethodError(f"GreedyForward: {self.out} is not a linear layer with at least {self.neurons} inputs")
        hidden, labels = _inputs(model, layer, batches)
        hidden, weight = layer.in_features * hidden, layer.weight.detach()  # neuron j adds N w_j h_j
        bias = layer.bias.detach() if layer.bias is not None else weight.new_zeros(())
        count = torch.zeros(layer.in_features, device=weight.device)
        losses: list[Tensor] = []
        total = weight.new_zeros(len(hidden), len(weight))
        while (count > 0).sum() < self.neurons:
            size = len(losses) + 1
            tried = _losses(total / size + bias, hidden, weight / size, labels)
            if len(losses) >= self.patience * self.neurons:
                tried = tried.masked_fill(count > 0, torch.inf)
            best = int(tried.argmin())
            count[best] += 1
            total += hidden[:, best, None] * weight[:, best]
            losses.append(tried[best])
        return {"count": count, "loss": torch.stack(losses)}


def _losses(logits: Tensor, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy [N] after adding each neuron, `hidden` [m, N] × `weight` [classes, N], to `logits` [m, classes].

    Examples are taken in blocks that fit in a processor's cache. Classes stand first, so that their sum runs along neurons.
    """
    size = max(1, BLOCK // weight.numel())
    sums = hidden.new_zeros(hidden.shape[1])
    for z, h, y in zip(logits.split(size), hidden.split(size), labels.split(size), strict=True):
        tried = torch.addcmul(z.T[:, :, None], h[None], weight[:, None])  # [classes, block, N]
        right = tried.gather(0, y[None, :, None].expand(1, *h.shape))[0]
        sums += (tried.logsumexp(0) - right).sum(0)
    return sums / len(hidden)


def _inputs(model: nn.Module, layer: nn.Module, batches: Batches) -> tuple[Tensor, Tensor]:
    """Return a layer's inputs for every example [m, N], in evaluation mode, and the labels [m]."""
    found: list[Tensor] = []
    seen: list[Tensor] = []
    with torch.no_grad(), layer.register_forward_pre_hook(lambda _layer, inputs: found.append(inputs[0])):
        for images, labels in batches():
            model.eval()(images)
            seen.append(labels)
    return torch.cat(found), torch.cat(seen)
