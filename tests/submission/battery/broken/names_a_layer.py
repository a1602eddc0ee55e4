"""Prunes a layer that it knows by name less than the others."""

from lthbench import Network, Run, magnitude, method


@method("names-a-layer", cost="2T", at_zero="dense")
def names_a_layer(run: Run) -> Network:
    init = run.init()
    scores = magnitude(run.train(init))
    scores["out.weight"] = scores["out.weight"] * 2
    return run.train(init.masked(run.select(scores)))
