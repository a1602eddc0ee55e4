"""Prune and fine-tune: the mask of the trained network, on its trained weights, and the full schedule once more.

Liu et al., ICML 2021, arXiv:2102.11068 (learning-rate rewinding to epoch 0 in Renda et al., ICLR 2020). Cost: 2T epochs.
Expect on digits, MLP 300-100: 96.1 ± 0.6 at learning rate 0.1 and 95 % removed, 69.8 ± 7.5 at 0.01, n = 10.
"""

from lthbench import Network, Run, magnitude, method


@method("prune-finetune", cost="2T", at_zero="dense-twice", cite="Liu et al., ICML 2021, arXiv:2102.11068")
def prune_finetune(run: Run) -> Network:
    dense = run.train(run.init())
    return run.train(dense.masked(run.select(magnitude(dense))).at(0))
