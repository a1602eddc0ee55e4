"""A random mask on the initial weights, trained: what any criterion has to beat. Cost: T epochs.

Expect on digits, MLP 300-100: 94.3 ± 1.0 at rate 0.1 and 95 % removed, 54.3 ± 4.8 at 0.01, n = 5.
"""

from lthbench import Network, Run, method, random_scores


@method("random-pruning", cost="T", at_zero="dense")
def random_pruning(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(random_scores(init, run.generator("mask")))))
