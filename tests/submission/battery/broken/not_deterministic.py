"""Another mask in every execution."""

from itertools import count

from torch import Generator

from lthbench import Network, Run, method, random_scores

TURN = count()


@method("not-deterministic", cost="T")
def not_deterministic(run: Run) -> Network:
    init = run.init()
    g = Generator().manual_seed(next(TURN))
    return run.train(init.masked(run.select(random_scores(init, g))))
