"""Draws a mask from the global generator."""

import torch

from lthbench import Network, Run, method


@method("global-randomness", cost="T")
def global_randomness(run: Run) -> Network:
    init = run.init()
    scores = {name: torch.rand(w.shape) for name, w in init.prunable.items()}
    return run.train(init.masked(run.select(scores)))
