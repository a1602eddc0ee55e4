"""The largest initial weights, trained: pruning before any training. Frankle et al., ICLR 2021. Cost: T epochs."""

from lthbench import Network, Run, magnitude, method


@method("magnitude-at-init", cost="T", at_zero="dense", cite="Frankle et al., ICLR 2021, arXiv:2009.08576")
def magnitude_at_init(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
