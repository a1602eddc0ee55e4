"""FORCE: SNIP in rounds that each score at the network the last one left, so that a pruned weight may come back.

de Jorge et al., ICLR 2021, arXiv:2006.09081. Ten rounds here, over the same 10 examples a class; the paper takes up to 300.
Cost: T epochs, and a pass over 10 examples a class for each round to score.
"""

from lthbench import Iterated, Mask, Network, Run, Sensitivity, at_init


@at_init("force", cite="de Jorge et al., ICLR 2021, arXiv:2006.09081")
def force(run: Run, init: Network, rounds: int = 10) -> Mask:
    probe = Iterated(Sensitivity(), rounds, run.sparsity, run.allocation, revive=True)
    return run.select(run.measure(init, probe, per_class=10))


@at_init("iterative-snip", cite="de Jorge et al., ICLR 2021, arXiv:2006.09081")
def iterative_snip(run: Run, init: Network, rounds: int = 10) -> Mask:
    """SNIP in rounds that each score at the network the last one left: FORCE, but what is pruned stays so."""
    probe = Iterated(Sensitivity(), rounds, run.sparsity, run.allocation)
    return run.select(run.measure(init, probe, per_class=10))
