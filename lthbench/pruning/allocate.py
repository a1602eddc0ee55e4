"""Exact selection: from scores to a mask that removes an exact number of weights.

The allocation is global (all layers together), uniform (one sparsity in every layer), ERK or balanced. The number
removed is floor(s N + 1/2), shared over layers by largest remainder. Where scores tie at the threshold, a fixed
pseudo-random order of (name, index) decides, so that neither the position nor the layer order does.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from lthbench import keys
from lthbench.errors import MethodError
from lthbench.pruning.mask import Mask
from lthbench.pruning.tensors import Tensors, digest, is_planned

Scores = Mapping[str, Tensor]
"""Scores by parameter name. Higher scores stay, -inf marks what is pruned already, NaN raises."""

Keep = Callable[[Scores, float], dict[str, Tensor]]


def removed_count(size: int, sparsity: float) -> int:
    """Return the number of weights that a sparsity removes of `size`: floor(s N + 1/2)."""
    return math.floor(sparsity * size + 0.5)


def keep_global(scores: Scores, sparsity: float) -> dict[str, Tensor]:
    """Keep the highest scores of all layers together."""
    return keep_all_but(removed_count(sum(t.numel() for t in scores.values()), sparsity), scores)


def keep_uniform(scores: Scores, sparsity: float) -> dict[str, Tensor]:
    """Keep the highest scores of each layer, at the same sparsity in every layer."""
    return keep_by_layer(scores, sparsity, dict.fromkeys(scores, 1 - sparsity))


def keep_erk(scores: Scores, sparsity: float) -> dict[str, Tensor]:
    """Keep the highest scores of each layer, at densities by ERK. Evci et al., ICML 2020.

    The densities are proportional to (sum of the dimensions) / (product of the dimensions), and at most 1.
    """
    return keep_by_layer(scores, sparsity, erk_densities({n: t.shape for n, t in scores.items()}, sparsity))


def keep_balanced(scores: Scores, sparsity: float) -> dict[str, Tensor]:
    """Keep the same number of weights in every layer, or the whole layer if it has fewer. Gadhikar et al., ICML 2023."""
    return keep_by_layer(scores, sparsity, balanced_densities({n: t.shape for n, t in scores.items()}, sparsity))


ALLOCATIONS: dict[str, Keep] = {
    "global": keep_global,
    "uniform": keep_uniform,
    "erk": keep_erk,
    "balanced": keep_balanced,
}


def select(scores: Scores, sparsity: float, allocation: str) -> Mask:
    """Return the mask that an allocation makes of scores.

    Raises MethodError for NaN, and where more weights are pruned already than the sparsity removes.
    """
    return masked_by(ALLOCATIONS[allocation], scores, sparsity, allocation)


def masked_by(keep: Keep, scores: Scores, sparsity: float, identity: Any) -> Mask:
    """Return the mask that a function makes of scores. `identity` stands for the function in the key of a planned mask."""
    if not 0 <= sparsity <= 1:
        raise MethodError(f"a sparsity lies between 0 and 1, not {sparsity}: it is the share removed")
    if is_planned(scores):
        shapes = {name: t.shape for name, t in scores.items()}
        removed = removed_count(sum(t.numel() for t in scores.values()), sparsity)
        if removed == 0:
            return Mask.full(shapes)
        return Mask.planned(shapes, removed, keys.key("select", digest(scores), float(sparsity), identity))
    return Mask(keep(scores, sparsity))


def global_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask of all layers pooled, whatever the suite's allocation."""
    return select(scores, sparsity, "global")


def uniform_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask with the same sparsity in every layer, whatever the suite's allocation."""
    return select(scores, sparsity, "uniform")


def erk_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask with Erdős-Rényi-kernel densities, whatever the suite's allocation."""
    return select(scores, sparsity, "erk")


def balanced_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask with the same number of weights in every layer, whatever the suite's allocation."""
    return select(scores, sparsity, "balanced")


def erk_densities(shapes: Mapping[str, torch.Size], sparsity: float) -> dict[str, float]:
    """Return the density of each layer, its count proportional to the sum of its dimensions. Evci et al., ICML 2020."""
    return _densities(shapes, {n: sum(shape) for n, shape in shapes.items()}, sparsity)


def balanced_densities(shapes: Mapping[str, torch.Size], sparsity: float) -> dict[str, float]:
    """Return the density of each layer, with the same count in each. Gadhikar et al., ICML 2023, arXiv:2210.02412."""
    return _densities(shapes, dict.fromkeys(shapes, 1), sparsity)


def _densities(shapes: Mapping[str, torch.Size], share: Mapping[str, int], sparsity: float) -> dict[str, float]:
    """Return the density of each layer, its count proportional to `share`.

    A layer whose density would exceed 1 is kept whole, and the remaining layers share the rest.
    """
    kept = (1 - sparsity) * sum(shape.numel() for shape in shapes.values())
    whole: set[str] = set()
    while True:
        rest = {n: shape for n, shape in shapes.items() if n not in whole}
        room = kept - sum(shapes[n].numel() for n in whole)
        scale = room / sum(share[n] for n in rest) if rest else 0.0
        over = {n for n, shape in rest.items() if scale * share[n] / shape.numel() > 1}
        if not over:
            return {n: 1.0 if n in whole else scale * share[n] / shape.numel() for n, shape in shapes.items()}
        whole |= over


def uniform_counts(sizes: Mapping[str, int], sparsity: float) -> dict[str, int]:
    """Count the weights that the uniform allocation removes from layers of these sizes."""
    removed = removed_count(sum(sizes.values()), sparsity)
    return _shared(removed, {name: sparsity * size for name, size in sizes.items()}, dict.fromkeys(sizes, 0))


def keep_by_layer(scores: Scores, sparsity: float, density: Mapping[str, float]) -> dict[str, Tensor]:
    """Keep the highest scores of each layer, at these densities, with the exact count of all together."""
    removed = removed_count(sum(t.numel() for t in scores.values()), sparsity)
    _check(scores, torch.cat([t.flatten() for t in scores.values()]), removed)
    exact = {n: (1 - density[n]) * t.numel() for n, t in scores.items()}
    counts = _shared(removed, exact, {n: int((t == -math.inf).sum()) for n, t in scores.items()})
    return {n: keep_all_but(counts[n], {n: t})[n] for n, t in scores.items()}


def _shared(removed: int, exact: Mapping[str, float], least: Mapping[str, int]) -> dict[str, int]:
    """Round `exact` to whole numbers that add up to `removed`, by largest remainder.

    No count falls below `least`, the number already pruned: the share of one layer may fall by one as the total rises.
    """
    counts = {n: max(math.floor(x), least[n]) for n, x in exact.items()}
    by_remainder = sorted(exact, key=lambda n: (counts[n] - exact[n], n))
    missing = removed - sum(counts.values())
    for name in by_remainder[: max(0, missing)]:
        counts[name] += 1
    for name in by_remainder[::-1]:
        given = min(max(0, -missing), counts[name] - least[name])
        counts[name] -= given
        missing += given
    return counts


def keep_all_but(removed: int, scores: Scores) -> dict[str, Tensor]:
    """Keep all but the `removed` lowest scores of all layers together."""
    flat = torch.cat([t.detach().flatten() for t in scores.values()])
    _check(scores, flat, removed)
    if removed == 0:
        keep = torch.ones_like(flat, dtype=torch.bool)
    else:
        border = flat.kthvalue(removed).values
        keep = flat > border
        tied = (flat == border).nonzero().flatten()
        surplus = removed - (flat < border).sum()
        if surplus < len(tied):
            order = _tie_order(scores).to(flat.device)[tied].argsort()
            keep[tied[order[surplus:]]] = True
    parts = keep.split([t.numel() for t in scores.values()])
    return {name: part.view_as(t) for (name, t), part in zip(scores.items(), parts, strict=True)}


def _check(scores: Scores, flat: Tensor, removed: int) -> None:
    for name, t in scores.items():
        if t.isnan().any():
            raise MethodError(f"the scores of {name} contain NaN; a score says how much a weight should stay")
    pruned = int((flat == -math.inf).sum())
    if pruned > removed:
        raise MethodError(
            f"asked to remove {removed} of {len(flat)} weights in {', '.join(scores)}, but {pruned} are pruned already "
            "(their scores are -inf); ask for a higher sparsity, or score from a network that still has them"
        )


def _tie_order(scores: Tensors) -> Tensor:
    """Return a pseudo-random number for every (name, index), the same in every call."""
    numbers = [
        torch.randint(1 << 62, (t.numel(),), generator=Generator().manual_seed(keys.seed("ties", name)))
        for name, t in scores.items()
    ]
    return torch.cat(numbers)
