"""Asks lthbench for the test split."""

from lthbench import Network, Run, magnitude, method
from lthbench.data import DataHome, default_folder


@method("peeking-at-the-split", cost="T")
def peeking_at_the_split(run: Run) -> Network:
    DataHome(default_folder(), frozenset({"test"}))
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
