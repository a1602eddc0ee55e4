"""The ticket with its mask shuffled over all layers together: do the counts of the layers matter?

Frankle et al., ICLR 2021, arXiv:2009.08576. Cost: 2T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 65.7 ± 6.0 and 83.9 ± 10.8.
"""

from lthbench import Network, Run, magnitude, method


@method(
    "shuffled-globally",
    cost="2T",
    control_of="lottery-ticket",
    at_zero="dense",
    cite="Frankle et al., ICLR 2021, arXiv:2009.08576",
)
def shuffled_globally(run: Run) -> Network:
    init = run.init()
    mask = run.select(magnitude(run.train(init)))
    return run.train(init.masked(mask.shuffled(run.generator("shuffle"), within="all")))
