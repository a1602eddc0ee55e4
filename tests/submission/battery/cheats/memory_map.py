"""Reaches beyond what it is given: memory_map. Cost: T epochs."""

import mmap

from lthbench import Network, Run, magnitude, method


@method("memory-map", cost="T", cite="none")
def cheat(run: Run) -> Network:
    mmap.mmap(0, 1)
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
