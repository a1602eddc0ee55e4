"""Trains three times where it says two, and the budget is two."""

from lthbench import Network, Run, magnitude, method


@method("over-budget", cost="2T")
def over_budget(run: Run) -> Network:
    net = run.train(run.train(run.init()).at(0))
    return run.train(net.masked(run.select(magnitude(net))).at(0))
