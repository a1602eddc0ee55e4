"""Checks of what an author's rule declares and returns. Each message names the line of the author's own file."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lthbench.errors import MethodError
from lthbench.pruning.tensors import Tensors
from lthbench.training.identity import defined_at
from lthbench.training.rules.rule import HOOKS, Rule, overrides


def check_rule(rule: Rule | None) -> None:
    """Raise MethodError where a rule is not one, or has an after_step that would never be called, or a field in place of a hook."""
    if rule is None:
        return
    if not isinstance(rule, Rule):
        raise MethodError(f"rule={rule!r} is not an object of a Rule; write a frozen dataclass that inherits from Rule")
    if taken := [hook for hook in HOOKS if not callable(getattr(rule, hook))]:
        raise MethodError(
            f"{type(rule).__name__} ({defined_at(type(rule))}) has a field named {taken[0]}, which is the name of a hook; "
            "choose another name"
        )
    if overrides(rule, "after_step") and not rule.every:
        raise MethodError(
            f"{_hook(rule, 'after_step')} would never be called, because `every` is 0; write `every: int = 1` among the "
            f"fields of {type(rule).__name__}"
        )


def passes_of_rule(rule: Rule | None) -> int:
    """Return the passes of each example in a step. Raises MethodError unless that is a whole number from 1 on."""
    passes = 1 if rule is None else rule.passes
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 1:
        raise MethodError(
            f"{type(rule).__name__}.passes is {passes!r} ({defined_at(type(rule))}): write how often a step sends each of "
            "its examples through a network, 1, 2, …"
        )
    return passes


def check_returned(rule: Rule, hook: str, found: Any) -> Any:
    """Return what a hook returned, a tuple of tensors. Raises MethodError where it holds something else."""
    wrong = [t for t in found if not isinstance(t, Tensor)] if isinstance(found, tuple) else [found]
    if wrong:
        raise MethodError(f"{_hook(rule, hook)} returned a {type(wrong[0]).__name__} where a tensor is wanted")
    return found


def check_gradient(rule: Rule, grads: Tensors, trained: Iterable[str]) -> list[Tensor]:
    """Return the gradients of the trained tensors, in their order. Raises MethodError where one is missing."""
    for name in trained:
        if not isinstance(grads.get(name), Tensor):
            raise MethodError(
                f"{_hook(rule, 'gradient')} returned no tensor for {name}; return one for all that at() returns"
            )
    return [grads[name] for name in trained]


def check_start(rule: Rule, state: Tensors) -> None:
    """Raise MethodError where `start` returned something else than tensors by name."""
    for name, t in state.items():
        if not isinstance(t, Tensor):
            raise MethodError(
                f"{_hook(rule, 'start')} returned a {type(t).__name__} as {name!r} where a tensor is wanted; "
                "write torch.tensor(…), or keep a setting in a field"
            )


def check_draws(rule: Rule, draws: Tensors, count: int) -> Tensors:
    """Return the draws of a rule for a step. Raises MethodError unless they are one number for each example."""
    for name, t in draws.items():
        if not isinstance(t, Tensor) or t.shape != (count,):
            shape = list(t.shape) if isinstance(t, Tensor) else type(t).__name__
            raise MethodError(
                f"{_hook(rule, 'draw')} returned {shape} as {name!r}; return a tensor of shape [count], here [{count}]"
            )
    return draws


def check_in_place(rule: Rule, before: Tensors, after: Tensors) -> None:
    """Raise MethodError where a hook inside a step replaced the rule's tensors. A captured step would not see it."""
    for name in {**before, **after}:
        if before.get(name) is not after.get(name):
            raise MethodError(
                f"{type(rule).__name__} ({defined_at(type(rule))}) replaced s.state[{name!r}] inside a step; change it in "
                f"place: s.state[{name!r}].copy_(…)"
            )


def check_rate(rule: Rule, rate: Any) -> float:
    """Return the learning rate that a hook returned. Raises MethodError unless it is a finite number from 0 on."""
    if not isinstance(rate, int | float) or not 0 <= rate < torch.inf:
        raise MethodError(
            f"{_hook(rule, 'learning_rate')} returned {rate!r}; a learning rate is a finite number from 0 on"
        )
    return float(rate)


def _hook(rule: Rule, hook: str) -> str:
    kind = type(rule)
    return f"{kind.__name__}.{hook} ({defined_at(getattr(kind, hook))})"
