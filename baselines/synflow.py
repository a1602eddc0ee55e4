"""SynFlow: keep the weights that most synaptic flow goes through, in 100 rounds at initialisation, without any data.

Tanaka et al., NeurIPS 2020, arXiv:2006.05467: w ∂R/∂w, R the output for an image of ones under absolute weights; what is
left shrinks by the same factor in every round. Cost: T epochs.
"""

from lthbench import Iterated, Mask, Network, Run, SynFlowScores, at_init


@at_init("synflow", cite="Tanaka et al., NeurIPS 2020, arXiv:2006.05467")
def synflow(run: Run, init: Network, rounds: int = 100) -> Mask:
    return run.select(run.measure(init, Iterated(SynFlowScores(), rounds, run.sparsity, run.allocation)))
