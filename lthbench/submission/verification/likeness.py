"""Likeness of networks: two seeds do not give the same weights, nor the same weights in another order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from lthbench.pruning.state import State
from lthbench.pruning.tensors import Tensors
from lthbench.submission.bundle.manifest import Ticket

BUCKETS = 1024  # numbers that a network is summed into: products of these sums are those of the weights, to about 3 %
ALIKE = 0.9  # cosine of two networks' weights; of two that were trained from two seeds it is about 0
COPIED = 0.9999  # the same of two networks' changes since a start that all seeds share: up to 0.95 of honest ones
LEVELS = 64  # quantiles of the weights' sizes
SAME = 1e-5  # their largest relative difference; of two that were trained from two seeds it is above 1e-3
FEW = 20  # networks of fewer weights are not compared


@dataclass
class Likeness:
    """Sums of every network's prunable weights, by workload. Where it has a start, of their changes since."""

    _seen: dict[str, list[tuple[Ticket, Tensor, Tensor]]] = field(default_factory=dict)
    _most: dict[str, float] = field(default_factory=dict)  # cosine of two seeds' networks, by workload

    def add(self, ticket: Ticket, state: State, start: Tensors = MappingProxyType({})) -> None:
        """Note a network of a workload with the tensors of its `start`.

        A network whose weights are not finite is as good as not there.
        """
        weights = {n: state.params[n] * m for n, m in state.mask.items()}
        sizes = torch.cat([w[w != 0].abs().flatten() for w in weights.values()] or [torch.zeros(0)])
        if state.finite and len(sizes) >= FEW:
            seen = self._seen.setdefault(ticket.workload, [])
            changes = {n: w - start[n] * state.mask[n] if n in start else w for n, w in weights.items()}
            seen.append((ticket, _sums(changes), _quantiles(sizes)))
            self._most[ticket.workload] = COPIED if start else ALIKE

    def problems(self) -> Iterator[str]:
        """Yield every pair of networks of different seeds that are alike."""
        for workload, seen in self._seen.items():
            cosines = _cosines(torch.stack([sums for _, sums, _ in seen]))
            levels = torch.stack([quantiles for _, _, quantiles in seen])
            for i, (first, *_) in enumerate(seen):
                apart = ((levels - levels[i]).abs() / levels[i].clamp_min(1e-12)).amax(1)
                alike = (cosines[i] > self._most[workload]) | (apart < SAME)
                for j in range(i + 1, len(seen)):
                    if alike[j] and seen[j][0].seed != first.seed:
                        yield f"{_words(seen[j][0])}: has the weights of {_words(first)}, or almost"


def _sums(weights: Mapping[str, Tensor]) -> Tensor:
    """Sum weights with random signs into random buckets (count sketch, Charikar et al. 2002)."""
    found = torch.zeros(BUCKETS, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for name in sorted(weights):
        flat = weights[name].flatten().double()
        where = torch.randint(2 * BUCKETS, flat.shape, generator=generator)
        found.index_add_(0, where % BUCKETS, torch.where(where < BUCKETS, flat, -flat))
    return found


def _cosines(rows: Tensor) -> Tensor:
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-300)
    return unit @ unit.T


def _quantiles(sizes: Tensor) -> Tensor:
    """Return sizes at equal steps of their order, whatever order the weights stand in."""
    ordered = sizes.double().sort().values
    return ordered[torch.linspace(0, len(ordered) - 1, LEVELS).long()]


def _words(ticket: Ticket) -> str:
    return f"lr {ticket.learning_rate:g} sparsity {ticket.sparsity:g} seed {ticket.seed}"
