"""Iterative magnitude pruning that keeps the trained weights, its rounds fitted into the budget.

The rounds of `imp`, but each goes on from the weights of the last one, with the short schedule from its start.
Learning-rate rewinding of Renda et al., ICLR 2020, arXiv:2003.02389. Cost: at most the budget B.
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
