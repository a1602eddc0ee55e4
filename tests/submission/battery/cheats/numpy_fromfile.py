"""Reaches beyond what it is given: numpy_fromfile. Cost: T epochs."""

import numpy as np

from lthbench import Network, Run, magnitude, method


@method("numpy-fromfile", cost="T", cite="none")
def cheat(run: Run) -> Network:
    np.fromfile("x")
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
