"""Random masks on the initial weights, trained: what any criterion has to beat. They differ in how layers share.

`random-pruning` by the suite's allocation, the others at one rate in every layer, by Erdős-Rényi-kernel, and with as many
weights in every layer. Liu et al., ICLR 2022, arXiv:2202.02643; Gadhikar et al., ICML 2023, arXiv:2210.02412.
Cost: T epochs.
Expect on digits, MLP 300-100: 94.3 ± 1.0 at rate 0.1 and 95 % removed, 54.3 ± 4.8 at 0.01, n = 5 (`random-pruning`).
"""

from lthbench import Mask, Network, Run, at_init, balanced_mask, erk_mask, random_scores, uniform_mask


@at_init("random-pruning", cite="Liu et al., ICLR 2022, arXiv:2202.02643", controls=False)
def random_pruning(run: Run, init: Network) -> Mask:
    """A random mask by the suite's allocation."""
    return run.select(random_scores(init, run.generator("mask")))


@at_init("random-uniform", cite="Liu et al., ICLR 2022, arXiv:2202.02643", controls=False)
def random_uniform(run: Run, init: Network) -> Mask:
    """A random mask, every layer as sparse."""
    return uniform_mask(random_scores(init, run.generator("mask")), run.sparsity)


@at_init("random-erk", cite="Evci et al., ICML 2020, arXiv:1911.11134", controls=False)
def random_erk(run: Run, init: Network) -> Mask:
    """A random mask of Erdős-Rényi-kernel densities."""
    return erk_mask(random_scores(init, run.generator("mask")), run.sparsity)


@at_init("random-balanced", cite="Gadhikar et al., ICML 2023, arXiv:2210.02412", controls=False)
def random_balanced(run: Run, init: Network) -> Mask:
    """A random mask with as many weights in every layer."""
    return balanced_mask(random_scores(init, run.generator("mask")), run.sparsity)
