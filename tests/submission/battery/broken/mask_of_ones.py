"""Removes nothing."""

import torch

from lthbench import Mask, Network, Run, method


@method("mask-of-ones", cost="T")
def mask_of_ones(run: Run) -> Network:
    net = run.train(run.init())
    return net.masked(Mask({name: torch.ones_like(w, dtype=torch.bool) for name, w in net.prunable.items()}))
