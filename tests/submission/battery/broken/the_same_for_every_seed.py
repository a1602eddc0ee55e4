"""Starts from weights that no seed chose."""

from lthbench import Network, Run, Steps, method


@method("the-same-for-every-seed", cost="0T")
def the_same_for_every_seed(run: Run) -> Network:
    init = run.init()
    start = init.with_weights({name: 0.01 + 0 * w for name, w in init.params.items()})
    scores = {name: 0 * w for name, w in init.prunable.items()}
    return run.train(start.masked(run.select(scores)), until=Steps(0))
