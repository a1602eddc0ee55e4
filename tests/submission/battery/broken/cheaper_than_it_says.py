"""Declares two trainings and does one."""

from lthbench import Network, Run, magnitude, method


@method("cheaper-than-it-says", cost="2T")
def cheaper_than_it_says(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
