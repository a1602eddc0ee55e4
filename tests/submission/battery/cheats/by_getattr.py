"""Reaches beyond what it is given: by_getattr. Cost: T epochs."""

import torch

from lthbench import Network, Run, magnitude, method


@method("by-getattr", cost="T", cite="none")
def cheat(run: Run) -> Network:
    getattr(torch, "lo" + "ad")("x")
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
