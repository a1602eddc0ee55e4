"""Says that it is the dense network at sparsity 0, and starts from another draw."""

from lthbench import Network, Run, magnitude, method


@method("not-the-dense-at-zero", cost="T", at_zero="dense")
def not_the_dense_at_zero(run: Run) -> Network:
    init = run.init(1)
    return run.train(init.masked(run.select(magnitude(init))))
