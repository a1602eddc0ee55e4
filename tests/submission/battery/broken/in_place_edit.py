"""Zeroes weights of a network where it stands."""

from lthbench import Network, Run, magnitude, method


@method("in-place-edit", cost="T")
def in_place_edit(run: Run) -> Network:
    init = run.init()
    init.prunable["out.weight"].zero_()
    return run.train(init.masked(run.select(magnitude(run.init()))))
