"""Wanda: prune the trained network by |weight| x size of its input, the same share of every row, and train once more.

Sun et al., ICLR 2024, arXiv:2306.11695; there the network is not trained afterwards.
Cost: 2T epochs, and a pass over the training examples to score.
Expect on baselines-digits at 95 %, MLP 300-100, n = 3: 94.0 ± 0.2.
"""

from lthbench import Inputs, Network, Run, alive, method, row_mask


@method("wanda", cost="2T", at_zero="dense-twice", cite="Sun et al., ICLR 2024, arXiv:2306.11695")
def wanda(run: Run) -> Network:
    dense = run.train(run.init())
    squares = run.measure(dense, Inputs())
    scores = alive(dense, {name: w.abs() * squares[name].sqrt() for name, w in dense.prunable.items()})
    return run.train(dense.masked(row_mask(scores, run.sparsity)).at(0))
