"""Movement pruning: train once more, and meanwhile remove the weights that move towards zero.

Sanh et al., NeurIPS 2020, arXiv:2005.07683, with the trained network in place of a language model. The paper
trains its scores by Adam; here they follow the recipe. Cost: 2T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 91.1 ± 5.6 and 91.3 ± 5.1.
"""

from lthbench import Movement, Network, Run, method


@method("movement", cost="2T", at_zero="dense-twice", cite="Sanh et al., NeurIPS 2020, arXiv:2005.07683")
def movement(run: Run, every: int = 10) -> Network:
    dense = run.train(run.init())
    return run.train(dense.at(0), rule=Movement(run.sparsity, every))
