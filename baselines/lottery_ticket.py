"""The lottery ticket, one shot: the mask of the trained network, on its initial weights, trained from the start.

Frankle and Carbin, ICLR 2019, arXiv:1803.03635. Cost: 2T epochs.
Expect on digits, MLP 300-100: 96.3 ± 0.5 at learning rate 0.1 and 95 % removed, 62.5 ± 8.7 at 0.01, n = 10.
"""

from lthbench import Network, Run, magnitude, method


@method("lottery-ticket", cost="2T", at_zero="dense", cite="Frankle and Carbin, ICLR 2019, arXiv:1803.03635")
def lottery_ticket(run: Run) -> Network:
    init = run.init()
    dense = run.train(init)
    return run.train(init.masked(run.select(magnitude(dense))))
