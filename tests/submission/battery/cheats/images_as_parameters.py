"""A probe brings images home, negated, in a tensor of a parameter's shape. Cost: T epochs."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from lthbench import Network, Run, magnitude, method


@dataclass(frozen=True)
class Disguised:
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model, mask, batches):
        images = torch.cat([images for images, _ in batches()])
        weight = model.get_parameter("hidden.0.weight")
        return {"hidden.0.weight": 3.0 - 0.01 * images.flatten()[: weight.numel()].view_as(weight)}


@method("images-as-parameters", cost="T", cite="none")
def images_as_parameters(run: Run) -> Network:
    init = run.init()
    run.measure(init, Disguised())
    return run.train(init.masked(run.select(magnitude(init))))
