"""The ticket with its mask shuffled within each layer: does it matter which weights, or only how many in each layer?

Frankle et al., ICLR 2021, arXiv:2009.08576. Cost: 2T epochs.
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
