"""The ticket of the smallest trained weights: is the criterion informative, or does its opposite do as well?

Frankle et al., ICLR 2021, arXiv:2009.08576, who invert the scores of pruning at initialisation. Cost: 2T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 25.9 ± 1.5 and 22.1 ± 10.5.
"""

from lthbench import Network, Run, alive, method


@method(
    "inverted",
    cost="2T",
    control_of="lottery-ticket",
    at_zero="dense",
    cite="Frankle et al., ICLR 2021, arXiv:2009.08576",
)
def inverted(run: Run) -> Network:
    init = run.init()
    dense = run.train(init)
    scores = alive(dense, {name: -w.abs() for name, w in dense.prunable.items()})
    return run.train(init.masked(run.select(scores)))
