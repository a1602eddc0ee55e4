"""Distilled fine-tuning: prune the trained network by magnitude, and train it to answer as it did before.

Hinton et al., 2015, arXiv:1503.02531. Half of the recipe's epochs, since a step takes a pass through the dense network too.
Cost: 2T epochs where T is even.
Expect on baselines-digits at 95 %, MLP 300-100, n = 3: 94.9 ± 1.5.
"""

from lthbench import Distillation, Network, Run, magnitude, method


@method("distilled", cost="<=2T", cite="Hinton et al., 2015, arXiv:1503.02531")
def distilled(run: Run, share: float = 0.9, temperature: float = 4.0) -> Network:
    dense = run.train(run.init())
    pruned = dense.masked(run.select(magnitude(dense))).at(0)
    short = run.recipe.replace(epochs=max(1, run.epochs // 2))
    return run.train(pruned, recipe=short, rule=Distillation(share, temperature), networks={"teacher": dense})
