"""Reaches beyond what it is given: by_subclasses. Cost: T epochs."""

import torch  # noqa: F401

from lthbench import Network, Run, magnitude, method


@method("by-subclasses", cost="T", cite="none")
def cheat(run: Run) -> Network:
    ().__class__.__base__.__subclasses__()
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
