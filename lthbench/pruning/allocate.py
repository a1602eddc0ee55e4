"""Exact selection: from scores to a mask that removes an exact number of weights.

The allocation is global (all layers together), uniform (one sparsity in every layer), ERK, balanced, row (one sparsity in
every row of every layer), or a pattern N:M. The number removed is floor(s N + 1/2), shared over layers by largest
remainder. Where scores tie at the threshold, a fixed pseudo-random order of (name, index) decides, so that neither the
position nor the layer order does.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from lthbench import keys
from lthbench.errors import InputError, MethodError, unknown
from lthbench.pruning.mask import Mask
from lthbench.pruning.pattern import Pattern, check_fit
from lthbench.pruning.tensors import Tensors, check_tensors, digest, is_planned

Scores = Mapping[str, Tensor]
"""Scores by parameter name. Higher scores stay, -inf marks what is pruned already, NaN raises."""

Keep = Callable[[Scores, float], dict[str, Tensor]]
KeepAllBut = Callable[[int, Scores], dict[str, Tensor]]


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


def keep_rows(scores: Scores, sparsity: float) -> dict[str, Tensor]:
    """Keep the highest scores of each row, at the same sparsity in every row. A row holds the weights of one output.

    Sun et al., ICLR 2024, arXiv:2306.11695.
    """
    return keep_by_layer(scores, sparsity, dict.fromkeys(scores, 1 - sparsity), _keep_by_row)


def keep_pattern(pattern: Pattern, scores: Scores, sparsity: float) -> dict[str, Tensor]:
    """Keep at least the n highest scores of every group of m, and of the others the highest of all layers together.

    At the pattern's own sparsity all the others go. MethodError beyond it, and where an input dimension does not fit.
    """
    flat, may_go = _flat(scores), _flat(_removable(pattern, scores))
    removed, most = removed_count(len(flat), sparsity), int(may_go.sum())
    _check(scores, flat, removed)
    if removed > most:
        raise MethodError(f"asked to remove {removed} of {len(flat)} weights; the pattern {pattern} removes {most}")
    keep = ~may_go
    keep[may_go] = _highest(flat[may_go], removed, lambda: _tie_order(scores)[may_go.cpu()])
    return _split(keep, scores)


def _removable(pattern: Pattern, scores: Scores) -> dict[str, Tensor]:
    """Mark the weights that a pattern may remove, by parameter name."""
    try:
        check_fit(pattern, {name: t.shape for name, t in scores.items()})
    except InputError as error:
        raise MethodError(str(error)) from None
    ties = _split(_tie_order(scores), scores)
    return {name: pattern.removable(t.detach(), ties[name].to(t.device)) for name, t in scores.items()}


ALLOCATIONS: dict[str, Keep] = {
    "global": keep_global,
    "uniform": keep_uniform,
    "erk": keep_erk,
    "balanced": keep_balanced,
    "row": keep_rows,
}


def keeper(allocation: str) -> Keep:
    """Return the function that keeps the highest scores by an allocation: one of ALLOCATIONS, or a pattern such as 2:4."""
    if pattern := Pattern.named(allocation):
        return partial(keep_pattern, pattern)
    if allocation not in ALLOCATIONS:
        raise InputError(unknown("allocation", allocation, ALLOCATIONS))
    return ALLOCATIONS[allocation]


def select(scores: Scores, sparsity: float, allocation: str) -> Mask:
    """Return the mask that an allocation makes of scores.

    Raises MethodError for NaN, and where more weights are pruned already than the sparsity removes.
    """
    return masked_by(keeper(allocation), scores, sparsity, allocation)


def masked_by(keep: Keep, scores: Scores, sparsity: float, identity: Any) -> Mask:
    """Return the mask that a function makes of scores. `identity` stands for the function in the key of a planned mask."""
    if not 0 <= sparsity <= 1:
        raise MethodError(f"a sparsity lies between 0 and 1, not {sparsity}: it is the share removed")
    check_tensors("the score of", scores)
    if is_planned(scores):
        shapes = {name: t.shape for name, t in scores.items()}
        removed = removed_count(sum(t.numel() for t in scores.values()), sparsity)
        if removed == 0:
            return Mask.full(shapes)
        return Mask.planned(shapes, removed, keys.key("select", digest(scores), float(sparsity), identity))
    return Mask(keep(scores, sparsity))


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


def keep_by_layer(
    scores: Scores, sparsity: float, density: Mapping[str, float], keep: KeepAllBut | None = None
) -> dict[str, Tensor]:
    """Keep the highest scores of each layer, at these densities, with the exact count of all together.

    `keep` chooses the weights within a layer.
    """
    keep = keep or keep_all_but
    removed = removed_count(sum(t.numel() for t in scores.values()), sparsity)
    _check(scores, _flat(scores), removed)
    exact = {n: (1 - density[n]) * t.numel() for n, t in scores.items()}
    counts = _shared(removed, exact, {n: int((t == -math.inf).sum()) for n, t in scores.items()})
    return {n: keep(counts[n], {n: t})[n] for n, t in scores.items()}


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
    flat = _flat(scores)
    _check(scores, flat, removed)
    return _split(_highest(flat, removed, lambda: _tie_order(scores)), scores)


def _highest(flat: Tensor, removed: int, ties: Callable[[], Tensor]) -> Tensor:
    """Mark all but the `removed` lowest scores [N], where `ties` gives the order of equal ones."""
    if removed == 0:
        return torch.ones_like(flat, dtype=torch.bool)
    border = flat.kthvalue(removed).values
    keep = flat > border
    tied = (flat == border).nonzero().flatten()
    surplus = removed - (flat < border).sum()
    if surplus < len(tied):
        order = ties().to(flat.device)[tied].argsort()
        keep[tied[order[surplus:]]] = True
    return keep


def _flat(tensors: Tensors) -> Tensor:
    return torch.cat([t.detach().flatten() for t in tensors.values()])


def _split(flat: Tensor, like: Tensors) -> dict[str, Tensor]:
    """Split a flat tensor into tensors of the shapes of others, by name."""
    parts = flat.split([t.numel() for t in like.values()])
    return {name: part.view(t.shape) for (name, t), part in zip(like.items(), parts, strict=True)}


def _keep_by_row(removed: int, scores: Scores) -> dict[str, Tensor]:
    """Keep all but the `removed` lowest scores of each layer, and remove equally many of each row, but for one."""
    return {n: _rows_kept(removed, n, t.detach()) for n, t in scores.items()}


def _rows_kept(removed: int, name: str, scores: Tensor) -> Tensor:
    """Mark what stays of a layer. A tensor of one dimension is one row. The fixed order of ties says which rows lose one more."""
    rows = scores.reshape(len(scores) if scores.dim() > 1 else 1, -1)
    pruned = (rows == -math.inf).sum(1).tolist()
    names = [f"{number:019d}" for number in _tie_order({name: rows[:, 0]}).tolist()]
    counts = _shared(removed, dict.fromkeys(names, removed / len(rows)), dict(zip(names, pruned, strict=True)))
    by_tie = _tie_order({name: scores}).to(rows.device).view_as(rows).argsort(1)
    order = by_tie.gather(
        1, rows.gather(1, by_tie).argsort(dim=1, stable=True)
    )  # lowest first, ties in the fixed order
    gone = (
        torch.arange(rows.shape[1], device=rows.device) < torch.tensor([*counts.values()], device=rows.device)[:, None]
    )
    return torch.ones_like(rows, dtype=torch.bool).scatter(1, order, ~gone).view_as(scores)


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
