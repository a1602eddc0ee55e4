"""Criteria of other libraries: the method classes of torch.nn.utils.prune, and the importances of torch-pruning.

They score weights or units. The suite decides how many are removed and from which layers, by `run.select`. Random draws
from torch's global generator come from the given generator instead, and the global one is left unchanged.
"""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import prune

from lthbench.errors import MethodError
from lthbench.methods.network import Network
from lthbench.pruning.allocate import Scores, removed_count
from lthbench.pruning.tensors import Tensors


def prune_scores(
    net: Network, method: type[prune.BasePruningMethod], sparsity: float, g: Generator | None = None, **options: Any
) -> Scores:
    """Score weights by an unstructured method of torch.nn.utils.prune: 1 if it keeps a weight, 0 if it prunes it.

    Weights that are pruned already score -inf. `method` sees all remaining weights as one vector, as in
    prune.global_unstructured, and is told how many to remove. `options` are its further arguments. The scores are by
    parameter name, for `run.select(scores, sparsity)`.
    """
    _kind(method, "unstructured", "prune_unit_scores")
    prunable, kept = net.prunable, net.mask.tensors
    remaining = torch.cat([w[kept[name]] for name, w in prunable.items()])
    count = removed_count(sum(w.numel() for w in prunable.values()), sparsity)
    amount = count - sum(int((~mask).sum()) for mask in kept.values())
    if amount < 0:
        raise MethodError(
            f"prune_scores: {count - amount} weights are pruned already, more than sparsity {sparsity} asks for"
        )
    with _drawing(g):
        mask = method(amount, **options).compute_mask(remaining, torch.ones_like(remaining))  # type: ignore[call-arg]
    scores, start = {}, 0
    for name, w in prunable.items():
        scores[name] = torch.full_like(w, -math.inf)
        stop = start + int(kept[name].sum())
        scores[name][kept[name]] = mask[start:stop]
        start = stop
    return scores


def prune_unit_scores(
    net: Network, method: type[prune.BasePruningMethod], g: Generator | None = None, **options: Any
) -> Scores:
    """Score units by the order in which a structured method of torch.nn.utils.prune removes them: 0 goes first.

    `method` sees the weight of each layer and is told to remove 1, 2, 3, … of its rows. `options` are its further
    arguments. The scores are by group of units, for `run.select(scores, units=net.units)`.
    """
    _kind(method, "structured", "prune_scores")
    scores, prunable = {}, net.prunable
    with _drawing(g):
        for group in net.units.groups:
            weight = prunable[group.own[0].name]
            masks = [
                method(count, dim=0, **options).compute_mask(weight, torch.ones_like(weight))  # type: ignore[call-arg]
                for count in range(1, group.size)
            ]
            kept = [mask.flatten(1).amax(1) for mask in masks]
            scores[group.name] = torch.stack(kept).sum(0) if kept else torch.zeros(group.size)
    return scores


def importance_scores(net: Network, importance: Callable[[Any], Tensor], gradients: Tensors | None = None) -> Scores:
    """Score the units of a network by an importance of torch-pruning (tp.importance.…, or any function of a tp.Group).

    `gradients`, by parameter name, are for importances that use `weight.grad`: run.measure(net, Gradients()). The
    scores are by group of units, for `run.select(scores, units=net.units)`.
    """
    try:
        import torch_pruning as tp
    except ModuleNotFoundError:
        raise MethodError("importance_scores needs torch-pruning: pip install 'lthbench[torch-pruning]'") from None

    module = net.module()
    for name, parameter in module.named_parameters():
        parameter.grad = gradients[name].clone() if gradients is not None and name in gradients else None
    with warnings.catch_warnings(
        action="ignore", category=UserWarning
    ):  # for parameters that only its own pruning changes
        graph = tp.DependencyGraph().build_dependency(module, example_inputs=torch.zeros(1, *net.model.shape))
    scores = {}
    for group in net.units.groups:
        layer = module.get_submodule(group.name)
        function = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
        found = importance(graph.get_pruning_group(layer, function, list(range(group.size))))
        if found is None:
            raise MethodError(f"{type(importance).__name__} gives no score for {group.name}; does it need gradients=…?")
        scores[group.name] = found.detach()
    return scores


def _kind(method: type[prune.BasePruningMethod], kind: str, other: str) -> None:
    if method.PRUNING_TYPE not in (kind, "global"):  # type: ignore[attr-defined]
        raise MethodError(f"{method.__name__} is {method.PRUNING_TYPE}; write {other}")  # type: ignore[attr-defined]


@contextlib.contextmanager
def _drawing(g: Generator | None) -> Iterator[None]:
    """Seed the CPU's global generator from a draw of `g`, and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        seed = 0 if g is None else int(torch.randint(1 << 62, (), generator=g))
        torch.default_generator.manual_seed(seed)
        yield
