"""Neurons at random, in place of those of greedy forward selection.

`pretrain` steps on `examples` examples, as in greedy-forward. Mittal et al., WACV 2018, arXiv:1801.10447, draw channels in
this way; compare Wolfe et al., arXiv:2108.00259. Cost: at most 2T epochs.
Expect on wolfe2021-digits, 90 of 100 neurons removed, 1,024 examples, 8 steps: 96.3 ± 1.0, n = 5.
"""

import torch

from lthbench import Network, Run, Steps, method


@method(
    "neuron-random",
    cost="<= 2T",
    control_of="greedy-forward",
    cite="Mittal et al., WACV 2018, arXiv:1801.10447",
)
def neuron_random(run: Run, pretrain: int = 10, examples: int = 100) -> Network:
    few = run.recipe.replace(examples=examples, epochs=run.epochs * run.examples // examples)
    net = run.train(run.init(), until=Steps(pretrain), recipe=few.replace(schedule="constant"))
    drawn = {name: torch.rand(size, generator=run.generator(name)) for name, size in net.units.sizes.items()}
    small = net.masked(run.select(drawn, units=net.units))
    run.keep(pretrained=net, before=small)
    return run.train(small.at(0), recipe=few)
