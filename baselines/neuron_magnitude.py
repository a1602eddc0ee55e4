"""The neurons with the largest weights, in place of those of greedy forward selection.

`pretrain` steps on `examples` examples, as in greedy-forward. A neuron's score is the L2 norm of the weights that compute it
and that read it; He et al., ICASSP 2014, use the mean L1 norm of either. Compare Wolfe et al., arXiv:2108.00259.
Cost: at most 2T epochs.
Expect on wolfe2021-digits, 90 of 100 neurons removed, 1,024 examples, 8 steps: 96.8 ± 0.3, n = 5.
"""

from lthbench import Network, Run, Steps, method


@method("neuron-magnitude", cost="<= 2T", control_of="greedy-forward", cite="He et al., ICASSP 2014")
def neuron_magnitude(run: Run, pretrain: int = 10, examples: int = 100) -> Network:
    few = run.recipe.replace(examples=examples, epochs=run.epochs * run.examples // examples)
    net = run.train(run.init(), until=Steps(pretrain), recipe=few.replace(schedule="constant"))
    norms = net.units.sum({name: w.square() for name, w in net.prunable.items()}, read=True)
    small = net.masked(run.select(norms, units=net.units))
    run.keep(pretrained=net, before=small)
    return run.train(small.at(0), recipe=few)
