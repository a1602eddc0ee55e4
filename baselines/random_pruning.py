"""Random masks on the initial weights, trained: the baseline for any criterion. They differ in the allocation to layers.

`random-pruning` uses the suite's allocation. The others have the same sparsity in every layer, Erdős-Rényi-kernel densities,
and the same number of weights in every layer. Liu et al., ICLR 2022, arXiv:2202.02643; Gadhikar et al., ICML 2023, arXiv:2210.02412.
Cost: T epochs.
Expect on digits, MLP 300-100: 94.3 ± 1.0 at learning rate 0.1 and 95 % removed, 54.3 ± 4.8 at 0.01, n = 5 (`random-pruning`).
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3:
`random-pruning` 77.3 ± 4.3 and 81.9 ± 8.7, long 91.6 ± 0.6 and 84.8 ± 9.5;
`random-uniform` 72.3 ± 9.1 and 85.6 ± 2.8, long 91.5 ± 2.7 and 91.1 ± 4.5;
`random-erk` 92.1 ± 0.2 and 95.5 ± 0.5, long 94.7 ± 0.3 and 96.5 ± 0.5;
`random-balanced` 93.8 ± 0.3 and 95.1 ± 0.6, long 95.0 ± 0.9 and 96.7 ± 1.0.
"""

from lthbench import Mask, Network, Run, at_init, balanced_mask, erk_mask, random_scores, uniform_mask


@at_init("random-pruning", cite="Liu et al., ICLR 2022, arXiv:2202.02643", controls=False)
def random_pruning(run: Run, init: Network) -> Mask:
    """Draw a random mask by the suite's allocation."""
    return run.select(random_scores(init, run.generator("mask")))


@at_init("random-uniform", cite="Liu et al., ICLR 2022, arXiv:2202.02643", controls=False)
def random_uniform(run: Run, init: Network) -> Mask:
    """Draw a random mask with the same sparsity in every layer."""
    return uniform_mask(random_scores(init, run.generator("mask")), run.sparsity)


@at_init("random-erk", cite="Evci et al., ICML 2020, arXiv:1911.11134", controls=False)
def random_erk(run: Run, init: Network) -> Mask:
    """Draw a random mask with Erdős-Rényi-kernel densities."""
    return erk_mask(random_scores(init, run.generator("mask")), run.sparsity)


@at_init("random-balanced", cite="Gadhikar et al., ICML 2023, arXiv:2210.02412", controls=False)
def random_balanced(run: Run, init: Network) -> Mask:
    """Draw a random mask with the same number of weights in every layer."""
    return balanced_mask(random_scores(init, run.generator("mask")), run.sparsity)
