"""The largest initial weights, trained: pruning before any training. Frankle et al., ICLR 2021. Cost: T epochs.

Expect on digits, MLP 300-100: 31.0 ± 16.8 at rate 0.1 and 95 % removed, 24.1 ± 15.0 at 0.01, n = 5.
"""

from lthbench import Network, Run, magnitude, method


@method("magnitude-at-init", cost="T", at_zero="dense", cite="Frankle et al., ICLR 2021, arXiv:2009.08576")
def magnitude_at_init(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))
