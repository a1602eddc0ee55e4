"""AC/DC: dense and sparse phases alternate in one training, which ends sparse.

Peste et al., NeurIPS 2021, arXiv:2106.12379: a dense phase of a tenth of the training, then alternating phases up to three
quarters, and the rest sparse. A sparse phase starts by magnitude, by the suite's allocation. Cost: T epochs.
Expect on baselines-digits at 95 %, MLP 300-100, n = 3: 92.9 ± 0.6.
ResNet-8, 95 %: 10.2, since three or four layers lose all weights under the global allocation; 95.8 ± 0.6 with ERK, n = 2.
"""

import math
from dataclasses import dataclass

import torch

from lthbench import Network, Rule, Run, TrainingState, method


@dataclass(frozen=True)
class ACDC(Rule):
    """Changes between dense and sparse, `changes` of them, an odd number, from `begin` to `end` of the training."""

    sparsity: float
    changes: int = 7
    begin: float = 0.1
    end: float = 0.75
    every: int = 1

    def after_step(self, s: TrainingState) -> None:
        before, now = (self.changed(step / s.total) for step in (s.step, s.step + 1))
        if now > before and now % 2:
            s.set_mask(s.select({name: s.params[name].abs() for name in s.prunable}, self.sparsity))
        elif now > before:
            s.set_mask({name: torch.ones_like(keep) for name, keep in s.mask.items()})

    def changed(self, t: float) -> int:
        """Return how often the phase has changed at a fraction of the training. An odd number is a sparse phase."""
        length = (self.end - self.begin) / max(1, self.changes - 1)
        return max(0, min(self.changes, math.floor((t - self.begin) / length + 1e-9) + 1))


@method("acdc", cost="T", at_zero="dense", cite="Peste et al., NeurIPS 2021, arXiv:2106.12379")
def acdc(run: Run, changes: int = 7) -> Network:
    return run.train(run.init(), rule=ACDC(run.sparsity, changes))
