"""Remove channels at random, and train once more by the full schedule: the baseline for any criterion for channels.

Mittal et al., WACV 2018, arXiv:1801.10447. Cost: 2T epochs.
Expect on digits, VGG-11 at an eighth of its width, learning rate 0.1: 97.1 ± 0.8 at 50 % removed, n = 5.
"""

import torch

from lthbench import Network, Run, method


@method(
    "channels-random",
    cost="2T",
    at_zero="dense-twice",
    control_of="channels-l2",
    cite="Mittal et al., WACV 2018, arXiv:1801.10447",
)
def channels_random(run: Run) -> Network:
    dense, g = run.train(run.init()), run.generator("channels")
    drawn = {name: torch.rand(size, generator=g) for name, size in dense.units.sizes.items()}
    return run.train(dense.masked(run.select(drawn, units=dense.units)).at(0))
