"""Greedy forward selection: a few neurons of a hidden layer that together replace all of them."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lthbench.errors import MethodError
from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches


@dataclass(frozen=True)
class GreedyForward:
    """The number of times that each neuron is chosen, `count` [N], until `neurons` different ones are.

    `loss` [steps] is the loss after each step. The layer `out` sees the network as the mean of its neurons, N w_j h_j.
    The selection starts from no neuron. Each step adds the neuron that most lowers the cross-entropy of the mean over
    those chosen; a neuron may be added again. Wolfe et al., arXiv:2108.00259. All N candidates of a step are tried in
    one pass. After `patience` steps for each of the `neurons`, only new neurons are added.
    """

    out: str
    neurons: int
    patience: int = 4
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        layer = model.get_submodule(self.out)
        if not isinstance(layer, nn.Linear) or not 0 < self.neurons <= layer.in_features:
            raise MethodError(f"GreedyForward: {self.out} is not a linear layer with at least {self.neurons} inputs")
        hidden, labels = _inputs(model, layer, batches)
        added = layer.in_features * hidden[:, :, None] * layer.weight.detach().T  # [m, N, classes]
        bias = layer.bias.detach() if layer.bias is not None else added.new_zeros(())
        count = torch.zeros(layer.in_features, device=added.device)
        losses: list[Tensor] = []
        total = added.new_zeros(added[:, 0].shape)
        while (count > 0).sum() < self.neurons:
            tried = _losses(total, added, bias, labels, len(losses) + 1)
            if len(losses) >= self.patience * self.neurons:
                tried = tried.masked_fill(count > 0, torch.inf)
            best = int(tried.argmin())
            count[best] += 1
            total = total + added[:, best]
            losses.append(tried[best])
        return {"count": count, "loss": torch.stack(losses)}


def _losses(total: Tensor, added: Tensor, bias: Tensor, labels: Tensor, size: int) -> Tensor:
    """Return the mean cross-entropy after adding each neuron to those whose sum is `total`: [N]."""
    logits = (total[:, None] + added) / size + bias
    each = F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(logits.shape[1]), reduction="none")
    return each.view(logits.shape[:2]).mean(0)


def _inputs(model: nn.Module, layer: nn.Module, batches: Batches) -> tuple[Tensor, Tensor]:
    """Return a layer's inputs for every example [m, N], in evaluation mode, and the labels [m]."""
    found: list[Tensor] = []
    seen: list[Tensor] = []
    with torch.no_grad(), layer.register_forward_pre_hook(lambda _layer, inputs: found.append(inputs[0])):
        for images, labels in batches():
            model.eval()(images)
            seen.append(labels)
    return torch.cat(found), torch.cat(seen)
