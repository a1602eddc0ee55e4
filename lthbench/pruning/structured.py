"""Exact selection of units: from scores of units to a mask that removes the fewest whole units that reach the count.

Units are removed in the order of their scores. The count is that of the weights removed with them; a weight between two
removed units counts once. A fixed pseudo-random order of (group, index) decides ties, as it does for weights.
"""

import math
from collections.abc import Mapping

import torch
from torch import Generator, Size, Tensor

from lthbench import keys
from lthbench.errors import MethodError
from lthbench.pruning.allocate import Scores, erk_densities, removed_count
from lthbench.pruning.mask import Mask
from lthbench.pruning.tensors import check_tensors, digest, is_planned
from lthbench.pruning.units import Units


def select_units(scores: Scores, sparsity: float, allocation: str, units: Units, shapes: Mapping[str, Size]) -> Mask:
    """Return the mask, of parameters of these shapes, that removes the lowest-scored units.

    Groups without a score stay whole. `global` pools the units of all groups, `uniform` removes the same share of every
    group, and `erk` removes shares in proportion to 1 − density by Erdős-Rényi-kernel. Raises MethodError for NaN, for
    an unknown group, and if all units together are too few.
    """
    if not 0 <= sparsity <= 1:
        raise MethodError(f"a sparsity lies between 0 and 1, not {sparsity}: it is the share removed")
    check_tensors("the score of", scores)
    units.check(scores)
    asked = removed_count(sum(shape.numel() for shape in shapes.values()), sparsity)
    if is_planned(scores):
        lineage = keys.key("select units", digest(scores), float(sparsity), allocation)
        return Mask.planned(shapes, None, lineage) if asked else Mask.full(shapes)
    for name, score in scores.items():
        if score.isnan().any():
            raise MethodError(f"the scores of {name} contain NaN; a score says how much a unit should stay")
    most = units.removed({name: len(score) for name, score in scores.items()}, shapes)
    if asked > most:
        raise MethodError(
            f"asked to remove {asked} weights, but all units together have {most} ({', '.join(scores)}); "
            "ask for a lower sparsity"
        )
    return Mask(
        units.mask(_fewest(_order(scores, sparsity, allocation, units, shapes), scores, asked, units, shapes), shapes)
    )


def _fewest(order: Tensor, scores: Scores, asked: int, units: Units, shapes: Mapping[str, Size]) -> dict[str, Tensor]:
    """Mark the units to remove: the shortest prefix of the order that holds `asked` weights and what is pruned already."""
    sizes = [len(score) for score in scores.values()]
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))

    def removed(count: int) -> int:
        gone = owner[order[:count]].bincount(minlength=len(sizes)).tolist()
        return units.removed(dict(zip(scores, gone, strict=True)), shapes)

    low = int((torch.cat([*scores.values()]) == -math.inf).sum())
    high = len(order)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if removed(middle) >= asked else (middle + 1, high)
    gone = torch.zeros(len(order), dtype=torch.bool)
    gone[order[:low]] = True
    return dict(zip(scores, gone.split(sizes), strict=True))


def _order(scores: Scores, sparsity: float, allocation: str, units: Units, shapes: Mapping[str, Size]) -> Tensor:
    """Return positions in the concatenated scores, the first to be removed first."""
    ties = torch.cat([_ties(name, len(score)) for name, score in scores.items()])
    places = scores if allocation == "global" else _places(scores, sparsity, allocation, units, shapes)
    values = torch.cat([place.detach().cpu().double() for place in places.values()])
    by_tie = ties.argsort()
    return by_tie[values[by_tie].argsort(stable=True)]


def _places(
    scores: Scores, sparsity: float, allocation: str, units: Units, shapes: Mapping[str, Size]
) -> dict[str, Tensor]:
    """Return, for each unit, the share of its group gone when it goes, over the share that the allocation removes of
    its layer."""
    own = {group.name: shapes[group.own[0].name] for group in units.groups if group.name in scores}
    density = erk_densities(own, sparsity) if allocation == "erk" else dict.fromkeys(own, 0.0)
    found = {}
    for name, score in scores.items():
        order = _order({name: score}, sparsity, "global", units, shapes)
        rank = torch.empty(len(score), dtype=torch.double)
        rank[order] = torch.arange(1, len(score) + 1, dtype=torch.double)
        removed = max(1 - density[name], 1e-9)
        found[name] = (rank / len(score) / removed).masked_fill(score.cpu() == -math.inf, -math.inf)
    return found


def _ties(group: str, size: int) -> Tensor:
    """Return a pseudo-random number for every unit, the same in every call."""
    return torch.randint(1 << 62, (size,), generator=Generator().manual_seed(keys.seed("ties", group)))
