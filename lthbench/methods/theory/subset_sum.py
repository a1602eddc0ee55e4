"""Subset sums: which of some random numbers add up to nearly a given one.

Lueker 1998: of n = O(log 1/ε) uniform numbers, some subset comes within ε of every target in [−1, 1], with high probability.
"""

import torch
from torch import Tensor

from lthbench.training.metering.meter import unmetered

MEMORY = 1 << 23  # sums held at once


def closest_subset(numbers: Tensor, targets: Tensor) -> Tensor:
    """For every row of `numbers` [P, n] the subset whose sum is nearest to its target [P]: boolean [P, n].

    Meets in the middle: all sums of one half, and for each by bisection the nearest of the other half's. Exact, in
    n 2^(n/2) steps a row; memory grows with 2^(n/2), so n up to 40 or so.
    """
    per_row = 1 << (numbers.shape[1] + 1) // 2
    rows = max(1, MEMORY // per_row)
    parts = zip(numbers.double().split(rows), targets.double().split(rows), strict=True)
    with unmetered():  # a search over numbers, not a network
        return torch.cat([_meet(some, wanted) for some, wanted in parts])


def closest_single(numbers: Tensor, targets: Tensor) -> Tensor:
    """For every row of `numbers` [P, n] the one number, or none, that is nearest to its target [P]: boolean [P, n]."""
    distance = (numbers.double() - targets.double()[:, None]).abs()
    nearest = distance.argmin(1, keepdim=True)
    better = distance.gather(1, nearest) < targets.double()[:, None].abs()
    return torch.zeros(numbers.shape, dtype=torch.bool).scatter_(1, nearest, better)


def _meet(numbers: Tensor, targets: Tensor) -> Tensor:
    half = numbers.shape[1] // 2
    left, right = _subsets(half), _subsets(numbers.shape[1] - half)
    left_sums = numbers[:, :half] @ left.double().T
    right_sums, order = (numbers[:, half:] @ right.double().T).sort(1)
    wanted = targets[:, None] - left_sums
    above = torch.searchsorted(right_sums, wanted).clamp(max=len(right) - 1)
    below = (above - 1).clamp(min=0)
    miss_above, miss_below = ((right_sums.gather(1, at) - wanted).abs() for at in (above, below))
    miss, at = torch.minimum(miss_above, miss_below), torch.where(miss_above <= miss_below, above, below)
    best = miss.argmin(1, keepdim=True)
    chosen = order.gather(1, at.gather(1, best))
    return torch.cat([left[best.flatten()], right[chosen.flatten()]], 1)


def _subsets(n: int) -> Tensor:
    """All subsets of n things: boolean [2^n, n]."""
    return (torch.arange(1 << n)[:, None] >> torch.arange(n) & 1).bool()
