"""Pruning at initialisation: a criterion gives a mask, and four methods train it. They differ in one line each.

The controls are those of Frankle et al., ICLR 2021, arXiv:2009.08576.
"""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lthbench.methods.registry import method

if TYPE_CHECKING:
    from lthbench.methods.network import Network
    from lthbench.methods.run import Run
    from lthbench.pruning.mask import Mask

Criterion = Callable[..., "Mask"]  # takes a run, its initial network, and parameters of its own


def trained(run: "Run", init: "Network", mask: "Mask") -> "Network":
    """Train the mask on the initial weights."""
    return run.train(init.masked(mask))


def stretched(run: "Run", init: "Network", mask: "Mask") -> "Network":
    """Train {name} with the recipe stretched to the whole budget."""
    return run.train(init.masked(mask), recipe=run.stretched)


def shuffled(run: "Run", init: "Network", mask: "Mask") -> "Network":
    """Train {name} with its mask shuffled within each layer: does it matter which weights are kept, or only how many?"""
    return run.train(init.masked(mask.shuffled(run.generator("shuffle"))))


def reinitialised(run: "Run", init: "Network", mask: "Mask") -> "Network":
    """Train {name} with its mask on another initialisation: does it matter which values the weights had?"""
    return run.train(run.init(1).masked(mask))


def at_init(name: str, *, cite: str, controls: bool = True) -> Callable[[Criterion], Criterion]:
    """Register a criterion `Run, Network -> Mask` as methods: `name` trains the mask on the initial weights for T
    epochs.

    `name-long` stretches the recipe to the whole budget. With `controls`, `name-shuffled` trains the mask shuffled
    within each layer, and `name-reinit` trains the mask on another initialisation. Parameters of the criterion after
    the first two are parameters of all of these methods.
    """

    def enter(criterion: Criterion) -> Criterion:
        method(name, cost="T", cite=cite, at_zero="dense")(_arm(name, criterion, trained))
        method(f"{name}-long", cost="B", cite=cite, at_zero="dense-long")(_arm(name, criterion, stretched))
        if controls:
            control = functools.partial(method, cost="T", cite=cite, control_of=name)
            control(f"{name}-shuffled", at_zero="dense")(_arm(name, criterion, shuffled))
            control(f"{name}-reinit")(_arm(name, criterion, reinitialised))
        return criterion

    return enter


def _arm(name: str, criterion: Criterion, arm: Callable[..., "Network"]) -> Callable[..., "Network"]:
    """Return a method that trains the criterion's mask in one way. Its source is that of the criterion."""

    @functools.wraps(criterion)
    def function(run: "Run", **parameters: Any) -> "Network":
        init = run.init()
        return arm(run, init, criterion(run, init, **parameters))

    run, _, *own = inspect.signature(criterion).parameters.values()
    function.__signature__ = inspect.Signature([run, *own])  # type: ignore[attr-defined]
    function.__doc__ = (arm.__doc__ or "").replace("{name}", name) if arm is not trained else criterion.__doc__
    return function
