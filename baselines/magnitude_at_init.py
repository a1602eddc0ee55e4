"""The largest initial weights, trained: pruning before any training. Frankle et al., ICLR 2021. Cost: T epochs.

Expect on digits, MLP 300-100: 31.0 ± 16.8 at rate 0.1 and 95 % removed, 24.1 ± 15.0 at 0.01, n = 5.
"""

from lthbench import Mask, Network, Run, at_init, magnitude


@at_init("magnitude-at-init", cite="Frankle et al., ICLR 2021, arXiv:2009.08576")
def magnitude_at_init(run: Run, init: Network) -> Mask:
    return run.select(magnitude(init))
