"""Declares a cost that is not a formula."""

from lthbench import Network, Run, magnitude, method


@method("no-formula", cost="2T + ?")
def no_formula(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
