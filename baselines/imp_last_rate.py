"""Iterative magnitude pruning that keeps the trained weights and the last learning rate, its rounds fitted into the budget.

The rounds of `imp-finetune`, each at the last learning rate of the schedule: iterative fine-tuning.
Han et al., NeurIPS 2015, arXiv:1506.02626; as in Renda et al., ICLR 2020. Cost: at most the budget B.
Expect on baselines-digits-iterative at 95 %, MLP 300-100 and ResNet-8, n = 3: 94.1 ± 1.3 and 91.8 ± 0.3.
"""

from lthbench import Network, Run, magnitude, method


@method("imp-last-rate", cost="<= B", track="iterative", cite="Han et al., NeurIPS 2015, arXiv:1506.02626")
def imp_last_rate(run: Run) -> Network:
    rounds = run.rounds(most=run.budget - 1)  # at least one epoch each
    epochs = int(run.budget // (len(rounds) + 1))
    net = run.train(run.init(), recipe=run.recipe.replace(epochs=epochs))
    for sparsity in rounds:
        net = run.fine_tune(net.masked(run.select(magnitude(net), sparsity)), epochs)
    return net
