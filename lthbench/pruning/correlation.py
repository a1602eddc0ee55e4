"""Weight correlation: the overlap between the largest weights of two networks. Liu et al., ICML 2021, arXiv:2102.11068."""

from collections.abc import Iterable

from torch import Tensor

from lthbench.pruning.allocate import keep_global, removed_count
from lthbench.pruning.tensors import Tensors

PORTIONS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""The values of p for which records hold R_p: those of the paper's figures."""


def weight_correlation(a: Tensors, b: Tensors, mask: Tensors, p: float) -> float:
    """Return R_p = Σ_l |T_p(a_l) ∩ T_p(b_l)| / Σ_l p N_l, where T_p(a_l) are the largest p N_l of layer l by magnitude.

    `mask` marks the weights that count: those that both networks keep. p N_l is rounded to a whole number in numerator
    and denominator alike, so that R_p of a network with itself is 1. Unrelated networks have an R_p of `chance_level`,
    about p. NaN if nothing is left to compare.
    """
    asked = {name: _top_count(kept, p) for name, kept in mask.items()}
    common = sum(
        int((_top(name, a[name], kept, p) & _top(name, b[name], kept, p)).sum()) for name, kept in mask.items()
    )
    return common / total if (total := sum(asked.values())) else float("nan")


def chance_level(mask: Tensors, p: float) -> float:
    """Return the R_p expected of unrelated networks: Σ k_l² / N_l over Σ k_l, with k_l = p N_l rounded to a whole
    number."""
    counts = {name: (_top_count(kept, p), int(kept.sum())) for name, kept in mask.items()}
    total = sum(top for top, _ in counts.values())
    return sum(top * top / size for top, size in counts.values() if size) / total if total else float("nan")


def correlations(a: Tensors, b: Tensors, mask: Tensors, portions: Iterable[float] = PORTIONS) -> dict[str, float]:
    """Return R_p by p, with p as text: {"0.1": …, "0.2": …}."""
    return {f"{p:g}": weight_correlation(a, b, mask, p) for p in portions}


def _top_count(kept: Tensor, p: float) -> int:
    size = int(kept.sum())
    return size - removed_count(size, 1 - p)


def _top(name: str, weight: Tensor, kept: Tensor, p: float) -> Tensor:
    """Mark the largest of the kept weights of one layer: boolean, one entry for each kept position.

    A fixed pseudo-random order decides ties.
    """
    return keep_global({name: weight[kept].abs()}, 1 - p)[name]
