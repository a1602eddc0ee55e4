"""Reaches beyond what it is given: in_a_thread. Cost: T epochs."""

import threading

from lthbench import Network, Run, magnitude, method


@method("in-a-thread", cost="T", cite="none")
def cheat(run: Run) -> Network:
    threading.Thread()
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
