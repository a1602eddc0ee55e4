"""Reaches beyond what it is given: by_globals. Cost: T epochs."""

import torch  # noqa: F401

from lthbench import Network, Run, magnitude, method


@method("by-globals", cost="T", cite="none")
def cheat(run: Run) -> Network:
    Run.init.__globals__
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
