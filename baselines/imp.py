"""Iterative magnitude pruning with a reset to the initial weights, its rounds fitted into the budget.

Each round removes 20 % of the remaining weights; the n + 1 trainings share the budget equally, so each schedule is short.
Frankle and Carbin, ICLR 2019, arXiv:1803.03635. Cost: at most the budget B.
Expect on digits, MLP 300-100: 96.5 ± 0.7 at learning rate 0.1 and 95 % removed, 86.2 ± 2.7 at 0.01, n = 5.
"""

from lthbench import Network, Run, magnitude, method


@method("imp", cost="<= B", track="iterative", cite="Frankle and Carbin, ICLR 2019, arXiv:1803.03635")
def imp(run: Run) -> Network:
    rounds = run.rounds(most=run.budget - 1)  # at least one epoch each
    recipe = run.recipe.replace(epochs=int(run.budget // (len(rounds) + 1)))
    init = net = run.init()
    for sparsity in rounds:
        net = init.masked(run.select(magnitude(run.train(net, recipe=recipe)), sparsity))
    return run.train(net, recipe=recipe)
