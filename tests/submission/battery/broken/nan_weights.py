"""Divides its weights by zero."""

from lthbench import Network, Run, magnitude, method


@method("nan-weights", cost="T")
def nan_weights(run: Run) -> Network:
    net = run.train(run.init())
    net = net.masked(run.select(magnitude(net)))
    return net.with_weights({"out.bias": net.params["out.bias"] / 0})
