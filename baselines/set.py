"""SET: a sparse network from the start, whose layers drop their smallest weights and grow others at random.

Mocanu et al., Nature Communications 2018, arXiv:1707.04780: 30 % of each layer, from a random mask of Erdős-Rényi-kernel
densities. The CIFAR-10 suite rewires every 100 steps. Cost: T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 92.6 ± 1.1 and 95.1 ± 0.5.
"""

from lthbench import SET, Network, Run, erk_mask, method, random_scores


@method("set", cost="T", at_zero="dense", cite="Mocanu et al., Nature Communications 2018, arXiv:1707.04780")
def set_(run: Run, every: int = 10) -> Network:
    init = run.init()
    mask = erk_mask(random_scores(init, run.generator("mask")), run.sparsity)
    return run.train(init.masked(mask), rule=SET(every=every))
