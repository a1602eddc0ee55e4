"""The dense network with the recipe stretched to the whole budget: what the epochs alone are worth. Cost: the budget B."""

from lthbench import Network, Run, method


@method("dense-long", cost="B", track="dense")
def dense_long(run: Run) -> Network:
    return run.train(run.init(), recipe=run.stretched)
