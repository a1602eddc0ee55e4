"""Says the same of every image."""

from lthbench import Network, Run, magnitude, method


@method("constant-network", cost="T")
def constant_network(run: Run) -> Network:
    net = run.train(run.init())
    net = net.masked(run.select(magnitude(net)))
    return net.with_weights({"out.weight": 0 * net.params["out.weight"]})
