"""The dense network with the recipe stretched to the whole budget: the value of the epochs alone. Cost: the budget B.

Expect on digits, MLP 300-100: 97.9 ± 0.2 dense at learning rate 0.1, 97.7 ± 0.5 at 0.01, n = 5.
"""

from lthbench import Network, Run, method


@method("dense-long", cost="B", track="dense")
def dense_long(run: Run) -> Network:
    return run.train(run.init(), recipe=run.stretched)
