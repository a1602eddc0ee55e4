"""A small dense network: the same depth, the widest with at most as many prunable weights as the ticket has left.

"SDT" of Ma et al., NeurIPS 2021, arXiv:2107.00166. Cost: T epochs.
"""

from lthbench import Network, Run, method


@method(
    "small-dense",
    cost="T",
    control_of="lottery-ticket",
    at_zero="dense",
    cite="Ma et al., NeurIPS 2021, arXiv:2107.00166",
)
def small_dense(run: Run) -> Network:
    return run.train(run.init(model=run.model.narrowed(1 - run.sparsity)))
