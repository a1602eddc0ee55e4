"""Pre-train a two-layer perceptron for some steps on some examples, choose neurons by greedy forward selection, fine-tune.

`pretrain` steps at the constant peak rate on `examples` examples, which all of it sees; the cell's sparsity says how many
neurons stay. Wolfe et al., arXiv:2108.00259. Cost: at most 2T epochs, and one pass over the examples to choose.
Expect on wolfe2021-digits, 90 of 100 neurons removed, 1,024 examples, 8 steps: 95.5 ± 0.5, n = 5.
"""

from lthbench import GreedyForward, Network, Run, Steps, method


@method("greedy-forward", cost="<= 2T", cite="Wolfe et al., 2021, arXiv:2108.00259")
def greedy_forward(run: Run, pretrain: int = 10, examples: int = 100) -> Network:
    few = run.recipe.replace(examples=examples, epochs=run.epochs * run.examples // examples)
    net = run.train(run.init(), until=Steps(pretrain), recipe=few.replace(schedule="constant"))
    [(hidden, size)], out = net.units.sizes.items(), [*net.prunable][-1]
    neurons = int((1 - run.sparsity) * size + 1e-9)
    count = run.measure(net, GreedyForward(out.removesuffix(".weight"), neurons), examples=examples)["count"]
    mean = net.with_weights({out: net.params[out] * count * size / count.sum()})
    small = mean.masked(run.select({hidden: count}, units=net.units))
    run.keep(pretrained=net, before=small)
    return run.train(small.at(0), recipe=few)
