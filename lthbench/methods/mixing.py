"""Networks made of other networks without a training: weighted means, and fresh running statistics."""

import functools
import math
import operator
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lthbench.errors import MethodError
from lthbench.methods.network import Network
from lthbench.pruning.tensors import Tensors


def mixed(shares: Mapping[Network, float]) -> Network:
    """Return Σ share · network over weights and running statistics, at the position of the first network.

    A weight is removed where all networks remove it. Raises MethodError unless the networks have one model and one basis,
    and the shares are finite and add up to 1.
    """
    first, *others = _checked(shares)
    masks = [net.mask for net in shares]
    there = first if all(mask == masks[0] for mask in masks) else first.with_mask(functools.reduce(operator.or_, masks))
    return there.with_weights(_mean([{**net.params, **net.buffers} for net in (first, *others)], [*shares.values()]))


def statistics_of(net: Network) -> list[str]:
    """Return the names of the running statistics of batch-norm among the buffers of a network."""
    return [name for name in net.buffers if name.endswith(("running_mean", "running_var"))]


def _checked(shares: Mapping[Network, float]) -> list[Network]:
    if not shares or not math.isclose(sum(_numbers(shares)), 1.0, abs_tol=1e-9):
        raise MethodError(
            f"mixed: the shares are {[*shares.values()]}; give one or more networks whose shares add up to 1"
        )
    first, *others = shares
    for net in others:
        if net.model != first.model or net.basis != first.basis:
            raise MethodError(
                f"mixed: {net.model.name} and {first.model.name} differ in model or basis; mix networks of one"
            )
    return [first, *others]


def _numbers(shares: Mapping[Network, Any]) -> list[float]:
    wrong = [share for share in shares.values() if not (isinstance(share, int | float) and math.isfinite(share))]
    if wrong:
        raise MethodError(f"mixed: the share {wrong[0]!r} is not a finite number; write run.mixed({{a: 0.5, b: 0.5}})")
    return [*shares.values()]


def _mean(networks: list[Tensors], shares: list[float]) -> dict[str, Tensor]:
    """Return the weighted sum of each tensor, computed in float64. Counters are those of the first network."""
    names = [name for name, t in networks[0].items() if t.is_floating_point()]
    return {name: _sum([tensors[name] for tensors in networks], shares) for name in names}


def _sum(tensors: list[Tensor], shares: list[float]) -> Tensor:
    terms = [share * t.double() for share, t in zip(shares, tensors, strict=True)]
    return functools.reduce(operator.add, terms).to(tensors[0].dtype)
