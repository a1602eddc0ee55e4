"""A probe hides its passes in torch.func.vmap, where a batch looks like one image. Cost: T epochs."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.func import functional_call, vmap

from lthbench import Network, Run, magnitude, method


@dataclass(frozen=True)
class Mapped:
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model, mask, batches):
        weights = {n: p.detach() for n, p in model.named_parameters()}
        images = torch.cat([images for images, _ in batches()])
        one = vmap(lambda image: functional_call(model.eval(), weights, (image[None],))[0])
        return {"out": torch.stack([one(images).mean(0) for _ in range(3)])}


@method("mapped-probe", cost="T", cite="none")
def mapped_probe(run: Run) -> Network:
    init = run.init()
    run.measure(init, Mapped())
    return run.train(init.masked(run.select(magnitude(init))))
