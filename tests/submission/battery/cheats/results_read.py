"""Reaches beyond what it is given: results_read. Cost: T epochs."""

from lthbench import load_results

from lthbench import Network, Run, magnitude, method


@method("results-read", cost="T", cite="none")
def cheat(run: Run) -> Network:
    load_results("leaderboard")
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
