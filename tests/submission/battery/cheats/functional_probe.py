"""Trains in a probe on the images of its one pass, by F.linear alone: no module is called. Cost: T epochs."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from lthbench import Network, Run, magnitude, method


def fit(w, images, labels, steps):
    """Train a perceptron by hand on weights by name, without calling a module."""
    names = [n for n in w if n.endswith("weight")]
    for _ in range(steps):
        leaves = {n: t.detach().requires_grad_() for n, t in w.items()}
        h = images.flatten(1)
        for n in names:
            h = F.linear(h.relu() if n != names[0] else h, leaves[n], leaves[n[:-6] + "bias"])
        grads = torch.autograd.grad(F.cross_entropy(h, labels), list(leaves.values()))
        w = {n: t.detach() - 0.1 * g for (n, t), g in zip(leaves.items(), grads, strict=True)}
    return w


@dataclass(frozen=True)
class ByHand:
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model, mask, batches):
        images, labels = (torch.cat(parts) for parts in zip(*batches(), strict=True))
        return fit({n: p.detach() for n, p in model.named_parameters()}, images, labels, 200)


@method("functional-probe", cost="T", cite="none")
def functional_probe(run: Run) -> Network:
    init = run.init()
    dense = init.with_weights(run.measure(init, ByHand()))
    return run.train(dense.masked(run.select(magnitude(dense))).at(0))
