"""Pruning in many small rounds that together are one measurement."""

import copy
import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from lthbench.pruning.allocate import keeper
from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches, Probe, zero_pruned


@dataclass(frozen=True)
class Iterated:
    """A probe repeated for `rounds` rounds: probe, select, mask. The density after round k is d^(k / rounds).

    It returns the scores of the last round, -inf where an earlier round pruned; selecting `sparsity` of them is the
    last step. With `revive`, nothing is final before that step: the module keeps its weights, and the probe learns of
    the pruning from the mask alone. A probe that looks at the mask, such as Sensitivity, can then score pruned weights.
    """

    probe: Probe
    rounds: int
    sparsity: float
    allocation: str
    revive: bool = False
    version: ClassVar[int] = 1

    @property
    def passes(self) -> int:
        return self.rounds * self.probe.passes

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        for k in range(1, self.rounds + 1):
            if not self.revive:
                zero_pruned(model, mask)
            scores = self.probe(copy.deepcopy(model), mask, batches)
            if not self.revive:
                scores = {name: scores[name].masked_fill(~keep, -math.inf) for name, keep in mask.items()}
            mask = keeper(self.allocation)(scores, 1 - (1 - self.sparsity) ** (k / self.rounds))
        return scores
