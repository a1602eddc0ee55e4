"""The dense network, trained once: what every ticket is held against. Cost: T epochs."""

from lthbench import Network, Run, method


@method("dense", cost="T", track="dense")
def dense(run: Run) -> Network:
    return run.train(run.init())
