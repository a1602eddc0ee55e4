"""Gradual magnitude pruning: the sparsity rises along a cubic from a fifth to three quarters of one training.

Zhu and Gupta, 2017, arXiv:1710.01878. Cost: T epochs.
Expect on digits, MLP 300-100: 96.5 ± 0.7 at learning rate 0.1 and 95 % removed, 89.2 ± 1.5 at 0.01, n = 5.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 92.1 ± 1.8 and 88.9 ± 1.9.
"""

from lthbench import Gradual, Network, Run, method


@method("gradual-magnitude", cost="T", at_zero="dense", cite="Zhu and Gupta, 2017, arXiv:1710.01878")
def gradual_magnitude(run: Run, every: int = 10) -> Network:
    return run.train(run.init(), rule=Gradual(run.sparsity, every))
