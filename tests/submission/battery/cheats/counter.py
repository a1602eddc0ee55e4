"""Cheat 18: passes is 0 the first time that it is read after the method armed it (by the ledger), 50 ever after. Cost: 2T epochs."""

from dataclasses import dataclass
import torch, torch.nn.functional as F
from torch import Tensor, nn
from lthbench import Batches, Network, Run, Tensors, magnitude, method

armed = [False]


@dataclass(frozen=True)
class Liar:
    version = 1

    @property
    def passes(self) -> int:
        if armed[0]:
            armed[0] = False
            return 0
        return 50

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        opt = torch.optim.SGD(model.train().parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
        for _ in range(50):
            for images, labels in batches():
                opt.zero_grad()
                F.cross_entropy(model(images), labels).backward()
                opt.step()
                with torch.no_grad():
                    for n in mask:
                        model.get_parameter(n).mul_(mask[n])
        return {n: p.detach() for n, p in model.named_parameters()}


@method("cheat-counter", cost="2T", cite="none")
def cheat(run: Run) -> Network:
    init = run.init()
    armed[0] = True
    dense = init.with_weights(run.measure(init, Liar()))
    net = dense.masked(run.select(magnitude(dense)))
    armed[0] = True
    net = net.with_weights(run.measure(net, Liar()))
    armed[0] = False
    return run.train(net.at(0), recipe=run.recipe.replace(lr=1e-5, epochs=2 * run.epochs))
