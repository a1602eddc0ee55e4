"""The ticket's mask on another initialisation: does the ticket need its own weights?

Frankle and Carbin, ICLR 2019, arXiv:1803.03635. Cost: 2T epochs.
Expect on digits, MLP 300-100: 94.9 ± 1.0 at learning rate 0.1 and 95 % removed, 25.8 ± 9.7 at 0.01, n = 10.
"""

from lthbench import Network, Run, magnitude, method


@method(
    "random-reinit",
    cost="2T",
    control_of="lottery-ticket",
    cite="Frankle and Carbin, ICLR 2019, arXiv:1803.03635",
)
def random_reinit(run: Run) -> Network:
    dense = run.train(run.init())
    return run.train(run.init(1).masked(run.select(magnitude(dense))))
