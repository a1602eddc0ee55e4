"""Subset sums: subsets of random numbers whose sum is near a given number.

Lueker 1998: with high probability, n = O(log 1/ε) uniform numbers have a subset sum within ε of every target in [−1,
1].
"""

import torch
from torch import Tensor

from lthbench.training.metering.meter import unmetered

MEMORY = 1 << 23  # sums held at once


def closest_subset(numbers: Tensor, targets: Tensor) -> Tensor:
    """Return, for every row of `numbers` [P, n], the subset whose sum is nearest to its target [P]: boolean [P, n].

    It meets in the middle: all sums of one half, and for each by bisection the nearest sum of the other half. It is
    exact, in n 2^(n/2) steps for a row. Memory grows with 2^(n/2), so n can be up to about 40.

    >>> closest_subset(torch.tensor([[0.5, 0.2, -0.1]]), torch.tensor([0.4]))
    tensor([[ True, False,  True]])
    """
    per_row = 1 << (numbers.shape[1] + 1) // 2
    rows = max(1, MEMORY // per_row)
    parts = zip(numbers.double().split(rows), targets.double().split(rows), strict=True)
    with unmetered():  # a search over numbers, not a network
        return torch.cat([_meet(some, wanted) for some, wanted in parts])


def closest_single(numbers: Tensor, targets: Tensor) -> Tensor:
    """Return, for every row of `numbers` [P, n], the one number, or none, that is nearest to its target [P]: boolean
    [P, n].

    >>> closest_single(torch.tensor([[0.5, 0.2, -0.1]]), torch.tensor([0.4]))
    tensor([[ True, False, False]])
    """
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
    """Return all subsets of n things: boolean [2^n, n]."""
    return (torch.arange(1 << n)[:, None] >> torch.arange(n) & 1).bool()
