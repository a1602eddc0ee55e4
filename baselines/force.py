"""FORCE: SNIP in rounds, each on the network that the last one left, so that a pruned weight may come back.

de Jorge et al., ICLR 2021, arXiv:2006.09081. Thirty rounds over the same 3 examples per class, which an epoch of digits
covers; the paper uses up to 300, each with new examples. With ten rounds at 95 %, nearly all weights of a ResNet-8
remain in one layer, and it does not train.
Cost: T epochs, and a pass over 3 examples per class for each round to score.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: force 95.7 ± 0.1 and 94.4 ± 1.0, iterative-snip
94.3 ± 0.8 and 96.7 ± 0.9.
"""

from lthbench import Iterated, Mask, Network, Run, Sensitivity, at_init


@at_init("force", cite="de Jorge et al., ICLR 2021, arXiv:2006.09081")
def force(run: Run, init: Network, rounds: int = 30, per_class: int = 3) -> Mask:
    probe = Iterated(Sensitivity(), rounds, run.sparsity, run.allocation, revive=True)
    return run.select(run.measure(init, probe, per_class=per_class))


@at_init("iterative-snip", cite="de Jorge et al., ICLR 2021, arXiv:2006.09081")
def iterative_snip(run: Run, init: Network, rounds: int = 30, per_class: int = 3) -> Mask:
    """Score by SNIP in rounds, each on the network that the last one left. Unlike in FORCE, pruned weights stay pruned."""
    probe = Iterated(Sensitivity(), rounds, run.sparsity, run.allocation)
    return run.select(run.measure(init, probe, per_class=per_class))
