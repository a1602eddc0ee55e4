"""Iterative magnitude pruning with a reset to the weights of epoch k, its rounds fitted into the budget.

The rounds of `imp`, each rewound to epoch k of the first training. Frankle et al., ICML 2020, arXiv:1912.05671.
Cost: at most the budget B.
Expect on baselines-digits-iterative at 95 %, MLP 300-100 and ResNet-8, n = 3: 96.4 ± 0.3 and 96.9 ± 1.1.
"""

from lthbench import Network, Run, magnitude, method


@method("imp-rewinding", cost="<= B", track="iterative", cite="Frankle et al., ICML 2020, arXiv:1912.05671")
def imp_rewinding(run: Run, k: int = 1) -> Network:
    rounds = run.rounds(most=run.budget - 1 - k)  # at least one epoch each
    recipe = run.recipe.replace(epochs=int((run.budget + len(rounds) * k) // (len(rounds) + 1)))
    early = net = run.train(run.init(), until=k, recipe=recipe)
    for sparsity in rounds:
        net = early.masked(run.select(magnitude(run.train(net, recipe=recipe)), sparsity))
    return run.train(net, recipe=recipe)
