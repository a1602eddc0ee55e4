"""ADMM: train with the weights pulled to their own sparse projection, prune by magnitude, and train once more.

Zhang et al., ECCV 2018, arXiv:1804.03294, with rho = 1e-3; the training after it is that of Liu et al., ICML 2021,
arXiv:2102.11068. Cost: 2T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 94.4 ± 1.4 and 97.2 ± 0.9.
"""

from lthbench import ADMM, Network, Run, magnitude, method


@method("admm", cost="2T", cite="Zhang et al., ECCV 2018, arXiv:1804.03294")
def admm(run: Run, rho: float = 1e-3, every: int = 10) -> Network:
    dense = run.train(run.init(), rule=ADMM(run.sparsity, rho, every))
    return run.train(dense.masked(run.select(magnitude(dense))).at(0))
