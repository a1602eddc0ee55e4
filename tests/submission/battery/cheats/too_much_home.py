"""A probe brings home many times as many numbers as the network has. Cost: T epochs."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from lthbench import Network, Run, magnitude, method


@dataclass(frozen=True)
class Everything:
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model, mask, batches):
        images = torch.cat([images for images, _ in batches()]).flatten()
        return {"all": torch.cat([images * k for k in range(40)])}


@method("too-much-home", cost="T", cite="none")
def too_much_home(run: Run) -> Network:
    init = run.init()
    run.measure(init, Everything())
    return run.train(init.masked(run.select(magnitude(init))))
