"""Scores with 0 / 0."""

from lthbench import Network, Run, method


@method("nan-scores", cost="T")
def nan_scores(run: Run) -> Network:
    init = run.init()
    scores = {name: (w - w) / (w - w) for name, w in init.prunable.items()}
    return run.train(init.masked(run.select(scores)))
