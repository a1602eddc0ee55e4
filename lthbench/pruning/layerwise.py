"""Layer-wise selection with a fraction of its own for each layer, as Frankle and Carbin (ICLR 2019) prune."""

import math
from collections.abc import Mapping

from torch import Size, Tensor

from lthbench.errors import MethodError
from lthbench.pruning.allocate import Scores, keep_by_layer, masked_by
from lthbench.pruning.mask import Mask


def layerwise_mask(scores: Scores, sparsity: float, fractions: Mapping[str, float]) -> Mask:
    """Return the mask that rounds with a fraction for each layer lead to, with an exact count.

    `fractions` are the shares of its remaining weights that each layer loses in a round, by parameter name, such as 0.2 and
    0.1 in the output layer. See `layerwise_densities`. Raises MethodError where `run.select` does. Frankle and Carbin, ICLR
    2019, arXiv:1803.03635.

    >>> import torch
    >>> scores = {"hidden": torch.rand(100), "out": torch.rand(10)}
    >>> mask = layerwise_mask(scores, 0.5, {"hidden": 0.2, "out": 0.1})
    >>> {name: int(keep.sum()) for name, keep in mask.tensors.items()}
    {'hidden': 48, 'out': 7}
    """

    def keep(scores: Scores, sparsity: float) -> dict[str, Tensor]:
        return keep_by_layer(scores, sparsity, layerwise_densities(_shapes(scores), sparsity, fractions))

    _check(scores, fractions)
    return masked_by(keep, scores, sparsity, dict(fractions))


def layerwise_densities(
    shapes: Mapping[str, Size], sparsity: float, fractions: Mapping[str, float]
) -> dict[str, float]:
    """Return the density (1 - fraction)^t of each layer, for the number of rounds t that reaches `sparsity` in all.

    t need not be whole.
    """
    if sparsity in (0, 1):
        return dict.fromkeys(shapes, 1.0 - sparsity)
    from scipy.optimize import brentq  # takes a while, and most methods need none of it

    sizes = {name: shape.numel() for name, shape in shapes.items()}
    kept = (1 - sparsity) * sum(sizes.values())

    def surplus(rounds: float) -> float:
        return sum(size * (1 - fractions[name]) ** rounds for name, size in sizes.items()) - kept

    slowest = min(fractions[name] for name in shapes)
    rounds = brentq(surplus, 0.0, 1 + math.log(1 - sparsity) / math.log(1 - slowest), xtol=1e-12)
    return {name: (1 - fractions[name]) ** rounds for name in shapes}


def _shapes(scores: Scores) -> dict[str, Size]:
    return {name: t.shape for name, t in scores.items()}


def _check(scores: Scores, fractions: Mapping[str, float]) -> None:
    for name in scores:
        if not 0 < fractions.get(name, 0.0) < 1:
            given = fractions.get(name, "none")
            raise MethodError(f"layerwise_mask: a fraction between 0 and 1 is needed for {name}, {given} is given")
