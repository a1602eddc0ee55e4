"""lthbench: a benchmark for neural-network pruning under equal epoch budgets.

The public names, for authors of methods and readers of results, are imported from here. They are loaded on first use
(PEP 562), so that the command line starts without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lthbench.public import *

__all__ = [
    "ADMM",
    "DCT2",
    "L1",
    "SAM",
    "SET",
    "Activations",
    "Basis",
    "BatchStatistics",
    "Batches",
    "BlockFisher",
    "Canonical",
    "CutMix",
    "Distillation",
    "EdgePopup",
    "GraNet",
    "GradientAt",
    "Gradients",
    "Gradual",
    "GreedyForward",
    "Haar",
    "Hadamard",
    "HessianGradient",
    "InputError",
    "Inputs",
    "Iterated",
    "LeftSingular",
    "LthbenchError",
    "Mask",
    "MethodError",
    "Mixup",
    "Model",
    "Moments",
    "Movement",
    "Network",
    "NeuronPopup",
    "OverBudget",
    "PerExampleGradients",
    "Probe",
    "RandomOrthogonal",
    "Recipe",
    "Results",
    "RigL",
    "Rule",
    "Run",
    "Scores",
    "Sensitivity",
    "Slimming",
    "Steps",
    "SynFlowScores",
    "Tensors",
    "Ticket",
    "TrainingState",
    "Units",
    "__version__",
    "alive",
    "approximated",
    "at_init",
    "balanced_mask",
    "closest_single",
    "closest_subset",
    "compact",
    "doubled",
    "erk_mask",
    "global_mask",
    "importance_scores",
    "layerwise_mask",
    "load_compact",
    "load_results",
    "load_ticket",
    "magnitude",
    "method",
    "named_basis",
    "nm_mask",
    "per_example_gradients",
    "prune_scores",
    "prune_unit_scores",
    "random_scores",
    "row_mask",
    "run_suite",
    "starting_point",
    "transferred_to_depth",
    "uniform_mask",
]


def __getattr__(name: str) -> Any:
    """Load a public name. A renamed name still works, and warns once with the new name."""
    if name == "__version__":
        return import_module("lthbench._version").__version__
    if name in __all__:
        return getattr(import_module("lthbench.public"), name)
    renamed = import_module("lthbench._renamed")
    name = renamed.attribute("lthbench", name, renamed.PACKAGE)
    return getattr(import_module("lthbench.public"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
