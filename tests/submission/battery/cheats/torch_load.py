"""Reaches beyond what it is given: torch_load. Cost: T epochs."""

import torch

from lthbench import Network, Run, magnitude, method


@method("torch-load", cost="T", cite="none")
def cheat(run: Run) -> Network:
    torch.load("x")
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
