"""Checks of the network that a method returned: its sparsity, and the networks that its weights are compared with."""

from collections.abc import Mapping

from lthbench.errors import MethodError
from lthbench.methods.internals.context import RunContext
from lthbench.methods.network import Network, origin_of
from lthbench.pruning.allocate import removed_count
from lthbench.pruning.lineage import Lineage, Trained


def counted(context: RunContext, layers: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Return (removed, prunable) of the workload's prunable weights, from (removed, size) of the layers of a network.

    At sparsity 0, a network wider than the workload's counts its own weights. MethodError where fewer weights are removed
    than asked for.
    """
    model, sparsity = context.setting.model, context.setting.cell.sparsity
    own = sum(size for _, size in layers.values())
    prunable = model.prunable_count if sparsity else max(own, model.prunable_count)
    removed = prunable - sum(size - gone for gone, size in layers.values())
    asked = removed_count(prunable, sparsity)
    if removed < asked:
        raise MethodError(f"misses the sparsity: {removed} of {prunable} weights are removed, {asked} were asked for")
    return removed, prunable


def check_pattern(context: RunContext, off: int) -> None:
    """Raise MethodError where a number of groups do not follow the suite's pattern."""
    if off:
        raise MethodError(
            f"misses the pattern {context.setting.suite.pattern}: {off} groups keep more weights than it allows; select with "
            "run.select, which keeps to the pattern"
        )


def compared(context: RunContext, final: Network) -> dict[str, Lineage]:
    """Return the networks to compare with the result: the one it descends from, and the kept ones of the same model."""
    others = {"init": _start(context, final)} | {name: origin_of(net).lineage for name, net in context.kept.items()}
    shapes = final.model.prunable_shapes
    return {name: other for name, other in others.items() if other.model.prunable_shapes == shapes}


def _start(context: RunContext, net: Network) -> Lineage:
    """Return the initialisation that a network descends from, through all edits and trainings."""
    lineage = origin_of(net).lineage
    while isinstance(lineage.root, Trained):
        lineage = context.starts[lineage.root.trajectory]
    return Lineage(lineage.root)
