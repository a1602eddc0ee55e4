"""Trains otherwise on the model that it knows."""

from lthbench import Network, Run, magnitude, method


@method("knows-its-workload", cost="2T", at_zero="dense")
def knows_its_workload(run: Run) -> Network:
    init = run.init()
    dense = run.train(init, until=run.epochs - 1) if run.model.name == "mlp-32" else run.train(init)
    return run.train(init.masked(run.select(magnitude(run.train(dense) if dense.epoch < run.epochs else dense))))
