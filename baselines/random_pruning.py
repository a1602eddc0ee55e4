"""A random mask on the initial weights, trained: what any criterion has to beat. Cost: T epochs."""

from lthbench import Network, Run, method, random_scores


@method("random-pruning", cost="T", at_zero="dense")
def random_pruning(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(random_scores(init, run.generator("mask")))))
