"""RigL: a sparse network from the start, whose layers drop their smallest weights and grow where the gradient is largest.

Evci et al., ICML 2020, arXiv:1911.11134: 30 % of each layer at first, none after three quarters of the training, from a
random mask of Erdős-Rényi-kernel densities. The CIFAR-10 suite rewires every 100 steps. Cost: T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 95.6 ± 0.9 and 96.4 ± 1.1.
"""

from lthbench import Network, RigL, Run, erk_mask, method, random_scores


@method("rigl", cost="T", at_zero="dense", cite="Evci et al., ICML 2020, arXiv:1911.11134")
def rigl(run: Run, every: int = 10) -> Network:
    init = run.init()
    mask = erk_mask(random_scores(init, run.generator("mask")), run.sparsity)
    return run.train(init.masked(mask), rule=RigL(every=every))
