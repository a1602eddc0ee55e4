"""Weight rewinding: the mask of the trained network on its weights of epoch k, trained from there to the end.

Frankle et al., ICML 2020, arXiv:1912.05671, one shot. k = 3 is a twentieth of 60 epochs, and 1,170 steps of CIFAR-10 in
batches of 128. Cost: 2T - k epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 94.7 ± 0.5 and 95.2 ± 0.9 (k = 1).
"""

from lthbench import Network, Run, magnitude, method


@method("weight-rewinding", cost="2T - k", at_zero="dense", cite="Frankle et al., ICML 2020, arXiv:1912.05671")
def weight_rewinding(run: Run, k: int = 3) -> Network:
    early = run.train(run.init(), until=k)
    dense = run.train(early)
    return run.train(early.masked(run.select(magnitude(dense))))
