"""Prune and fine-tune at the schedule's last learning rate, for T epochs.

Han et al., NeurIPS 2015, arXiv:1506.02626; "fine-tuning" in Renda et al., ICLR 2020. Cost: 2T epochs.
"""

from lthbench import Network, Run, magnitude, method


@method("fine-tune", cost="2T", cite="Han et al., NeurIPS 2015, arXiv:1506.02626")
def fine_tune(run: Run) -> Network:
    dense = run.train(run.init())
    return run.fine_tune(dense.masked(run.select(magnitude(dense))), epochs=run.epochs)
