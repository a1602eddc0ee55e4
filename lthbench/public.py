"""The public names, for authors of methods and readers of a leaderboard. They are imported from `lthbench`."""

from lthbench.errors import InputError, LthbenchError, MethodError, OverBudget
from lthbench.methods.adapters import importance_scores, prune_scores, prune_unit_scores
from lthbench.methods.at_init import at_init
from lthbench.methods.compact import compact
from lthbench.methods.criteria import alive, magnitude, random_scores
from lthbench.methods.network import Network
from lthbench.methods.registry import method
from lthbench.methods.run import Run
from lthbench.methods.starting_points import starting_point
from lthbench.methods.stretch import transferred_to_depth
from lthbench.methods.theory.construction import approximated, doubled
from lthbench.methods.theory.subset_sum import closest_single, closest_subset
from lthbench.models import Model
from lthbench.pruning.allocate import Scores
from lthbench.pruning.bases import DCT2, Basis, Canonical, Haar, Hadamard, LeftSingular, RandomOrthogonal, named_basis
from lthbench.pruning.layerwise import layerwise_mask
from lthbench.pruning.mask import Mask
from lthbench.pruning.masks import balanced_mask, erk_mask, global_mask, nm_mask, row_mask, uniform_mask
from lthbench.pruning.tensors import Tensors
from lthbench.pruning.units import Units
from lthbench.results import Results, load_results
from lthbench.running import run_suite
from lthbench.submission.bundle.ticket import Ticket, load_ticket
from lthbench.training.clock import Steps
from lthbench.training.probes import (
    Activations,
    Batches,
    BatchStatistics,
    BlockFisher,
    Gradients,
    GreedyForward,
    HessianGradient,
    Inputs,
    Iterated,
    Moments,
    PerExampleGradients,
    Probe,
    Sensitivity,
    SynFlowScores,
    per_example_gradients,
)
from lthbench.training.recipe import Recipe
from lthbench.training.rules import (
    ADMM,
    L1,
    SAM,
    SET,
    CutMix,
    Distillation,
    EdgePopup,
    GradientAt,
    Gradual,
    GraNet,
    Mixup,
    Movement,
    NeuronPopup,
    RigL,
    Rule,
    Slimming,
    TrainingState,
)

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
