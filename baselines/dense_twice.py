"""The dense network, trained by the full schedule twice: prune-finetune without the pruning. Cost: 2T epochs."""

from lthbench import Network, Run, method


@method("dense-twice", cost="2T", track="dense")
def dense_twice(run: Run) -> Network:
    return run.train(run.train(run.init()).at(0))
