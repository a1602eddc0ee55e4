"""Train under an L1 penalty, prune by magnitude, and train once more.

The penalty is 1e-5 times the L1 norm of the prunable weights. Liu et al., ICML 2021, arXiv:2102.11068. Cost: 2T epochs.
Expect on digits, MLP 300-100: 95.9 ± 0.7 at learning rate 0.1 and 95 % removed, 66.8 ± 7.5 at 0.01, n = 5.
"""

from lthbench import L1, Network, Run, magnitude, method


@method("l1", cost="2T", cite="Liu et al., ICML 2021, arXiv:2102.11068")
def l1(run: Run, strength: float = 1e-5) -> Network:
    dense = run.train(run.init(), rule=L1(strength))
    return run.train(dense.masked(run.select(magnitude(dense))).at(0))
