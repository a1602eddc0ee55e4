"""Learning-rate rewinding: the mask of the trained network on its trained weights, with the schedule from epoch k on.

Renda et al., ICLR 2020, arXiv:2003.02389, one shot; with k = 0 it is prune-finetune. Cost: 2T - k epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 94.7 ± 0.6 and 95.9 ± 0.6 (k = 1).
"""

from lthbench import Network, Run, magnitude, method


@method("lr-rewinding", cost="2T - k", cite="Renda et al., ICLR 2020, arXiv:2003.02389")
def lr_rewinding(run: Run, k: int = 3) -> Network:
    dense = run.train(run.init())
    return run.train(dense.masked(run.select(magnitude(dense))).at(k))
