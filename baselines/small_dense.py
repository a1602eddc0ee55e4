"""A small dense network: the same depth, and the largest width with at most the ticket's remaining prunable weights.

"SDT" of Ma et al., NeurIPS 2021, arXiv:2107.00166. Cost: T epochs.
Expect on digits, MLP 300-100: 97.2 ± 0.8 at learning rate 0.1 and 95 % removed, 95.8 ± 0.9 at 0.01, n = 10.
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
