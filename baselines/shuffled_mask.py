"""The ticket with its mask shuffled within each layer: does it matter which weights, or only how many in each layer?

Frankle et al., ICLR 2021, arXiv:2009.08576. Cost: 2T epochs.
Expect on digits, MLP 300-100: 93.5 ± 0.8 at learning rate 0.1 and 95 % removed, 23.3 ± 5.9 at 0.01, n = 5.
"""

from lthbench import Network, Run, magnitude, method


@method(
    "shuffled-mask",
    cost="2T",
    control_of="lottery-ticket",
    at_zero="dense",
    cite="Frankle et al., ICLR 2021, arXiv:2009.08576",
)
def shuffled_mask(run: Run) -> Network:
    init = run.init()
    mask = run.select(magnitude(run.train(init)))
    return run.train(init.masked(mask.shuffled(run.generator("shuffle"))))
