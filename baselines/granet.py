"""GraNet: gradual magnitude pruning in the first half of one training, with weights regrown where the gradient is large.

Liu et al., NeurIPS 2021, arXiv:2106.10404, from a dense network; half of each layer is rewired at first. The CIFAR-10 suite
prunes every 100 steps. Cost: T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 96.7 ± 0.4 and 94.8 ± 1.1.
"""

from lthbench import GraNet, Network, Run, method


@method("granet", cost="T", at_zero="dense", cite="Liu et al., NeurIPS 2021, arXiv:2106.10404")
def granet(run: Run, every: int = 10) -> Network:
    return run.train(run.init(), rule=GraNet(run.sparsity, every))
