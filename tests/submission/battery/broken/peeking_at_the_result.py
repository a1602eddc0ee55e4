"""Asks the engine what its network reaches on the test split."""

from lthbench import Network, Run, magnitude, method


@method("peeking-at-the-result", cost="T")
def peeking_at_the_result(run: Run) -> Network:
    net = run.init()
    net = run.train(net.masked(run.select(magnitude(net))))
    if hasattr(run._engine, "_evaluate"):
        run.note(test=run._engine._evaluate(net)["right"]["test"][0])
    return net
