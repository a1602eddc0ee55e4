"""The constructive proofs, carried out: a trained MLP approximated by pruning a wider random network, weight by weight.

`subset-sum` builds every weight from a subset of n = 3 log2(1/ε) random products (Pensia et al., NeurIPS 2020,
arXiv:2006.07990); `single-weight` from the nearest of n = 8/ε (after Malach et al., ICML 2020, arXiv:2002.00585). It notes the
largest error of a weight and that of all but 1 %, n, and the weights kept and drawn, divided by the target's. Cost: T epochs.
Expect on digits, MLP 32: 97.5 ± 1.1 by subset sums at ε = 0.01, 96.5 ± 0.5 by single weights at 0.1; target 97.8 ± 0.3, n = 3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lthbench import Network, Rule, Run, TrainingState, approximated, closest_single, closest_subset, doubled, method


@dataclass(frozen=True)
class WeightsAlone(Rule):
    """Training of the prunable weights alone. Biases stay at 0."""

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        return {name: s.params[name] for name in s.prunable}


def found(run: Run, n: int, choose: Callable[[Tensor, Tensor], Tensor]) -> Network:
    """Return the random network with the mask that makes it approximate the trained one."""
    target = run.train(run.init(), rule=WeightsAlone())
    random = run.init(model=doubled(run.model, n), scheme="uniform")
    near = approximated(target, random, n, choose)
    size = run.model.prunable_count
    run.keep(target=target)
    run.note(error=float(near.errors.max()), error_99=float(near.errors.quantile(0.99)), width=n)
    run.note(kept_ratio=near.kept / size, drawn_ratio=near.mask.prunable / size)
    return random.masked(near.mask)


@method("subset-sum", cost="T", track="dense", cite="Pensia et al., NeurIPS 2020, arXiv:2006.07990")
def subset_sum(run: Run, epsilon: float = 0.01) -> Network:
    return found(run, round(3 * math.log2(1 / epsilon)), closest_subset)


@method("single-weight", cost="T", track="dense", cite="Malach et al., ICML 2020, arXiv:2002.00585")
def single_weight(run: Run, epsilon: float = 0.1) -> Network:
    return found(run, math.ceil(8 / epsilon), closest_single)
