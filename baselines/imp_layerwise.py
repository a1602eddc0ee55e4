"""Tickets pruned layer by layer: 20 % of the remaining weights of each layer a round, and half of that in the output layer.

`imp-layerwise` prunes round by round, each a full training from θ_0. `one-shot-layerwise` prunes once, to the same number in
every layer. `start`: init (the ticket), reinit, reinit-2, … (other draws), trained, or an epoch to rewind to.
Frankle and Carbin, ICLR 2019, arXiv:1803.03635. Cost: at most (n + 1) T and 2T epochs.
Expect on frankle2019-digits, n = 5, iterative: ticket 98.2 ± 0.4 with 21 % left and 97.5 ± 0.5 with 3.5 %, re-initialised 97.6 ± 0.4
and 96.7 ± 0.6; one-shot tickets 98.5 ± 0.3 and 96.5 ± 0.3.
"""

from lthbench import Mask, Network, Run, layerwise_mask, magnitude, method, starting_point

CITE = "Frankle and Carbin, ICLR 2019, arXiv:1803.03635"
FRACTION = 0.2  # of the remaining weights, a round


@method("imp-layerwise", cost="<= (n+1)T", track="iterative", cite=CITE)
def imp_layerwise(run: Run, start: str = "init") -> Network:
    init = net = run.init()
    for sparsity in run.rounds():
        net = init.masked(pruned(run, run.train(net), sparsity))
    return run.train(starting_point(run, start).masked(net.mask))


@method("one-shot-layerwise", cost="<= 2T", at_zero="dense", cite=CITE)
def one_shot_layerwise(run: Run, start: str = "init") -> Network:
    dense = run.train(run.init())
    return run.train(starting_point(run, start).masked(pruned(run, dense, run.sparsity)))


def pruned(run: Run, net: Network, sparsity: float) -> Mask:
    """Return the mask of the largest weights of every layer."""
    output = run.model.output_weights
    fractions = {name: FRACTION / 2 if name in output else FRACTION for name in net.prunable}
    return layerwise_mask(magnitude(net), sparsity, fractions)
