"""What is looked at in the network that a method returned: how much of it is gone, and what its weights are compared with."""

from collections.abc import Mapping

from lthbench.errors import MethodError
from lthbench.methods.network import Network
from lthbench.methods.run import Run
from lthbench.pruning.allocate import removed_count
from lthbench.pruning.lineage import Lineage, Trained


def counted(run: Run, layers: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """(removed, prunable) of the workload's prunable weights, from (removed, size) of the layers of a network.

    Where nothing is asked to be removed, a wider network than the workload's counts its own weights. MethodError where
    fewer are removed than asked for."""
    own = sum(size for _, size in layers.values())
    prunable = run.model.prunable_count if run.sparsity else max(own, run.model.prunable_count)
    removed = prunable - sum(size - gone for gone, size in layers.values())
    asked = removed_count(prunable, run.sparsity)
    if removed < asked:
        raise MethodError(f"misses the sparsity: {removed} of {prunable} weights are removed, {asked} were asked for")
    return removed, prunable


def compared(run: Run, final: Network) -> dict[str, Lineage]:
    """What the weights of the result are compared with: where it descends from, and what was kept of the same model."""
    others = {"init": _origin(run, final)} | {name: net.lineage for name, net in run.kept.items()}
    shapes = final.model.prunable_shapes
    return {name: other for name, other in others.items() if other.model.prunable_shapes == shapes}


def _origin(run: Run, net: Network) -> Lineage:
    """The initialisation that a network descends from, whatever was done to it since."""
    lineage = net.lineage
    while isinstance(lineage.root, Trained):
        lineage = run.starts[lineage.root.trajectory]
    return Lineage(lineage.root)
