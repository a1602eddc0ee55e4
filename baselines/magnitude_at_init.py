"""The largest initial weights, trained: pruning before any training. Frankle et al., ICLR 2021. Cost: T epochs.

Expect on digits, MLP 300-100: 31.0 ± 16.8 at learning rate 0.1 and 95 % removed, 24.1 ± 15.0 at 0.01, n = 5.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 22.9 ± 1.6 and 94.6 ± 0.9;
long 23.9 ± 5.1 and 95.2 ± 0.7; shuffled 19.1 ± 7.7 and 94.7 ± 0.5; re-initialised 15.3 ± 4.6 and 95.7 ± 1.0.
"""

from lthbench import Mask, Network, Run, at_init, magnitude


@at_init("magnitude-at-init", cite="Frankle et al., ICLR 2021, arXiv:2009.08576")
def magnitude_at_init(run: Run, init: Network) -> Mask:
    return run.select(magnitude(init))
