"""Reaches beyond what it is given: by_ctypes. Cost: T epochs."""

import ctypes

from lthbench import Network, Run, magnitude, method


@method("by-ctypes", cost="T", cite="none")
def cheat(run: Run) -> Network:
    ctypes.CDLL(None)
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
