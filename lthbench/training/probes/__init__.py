"""Probes: measurements outside a training, on examples that are charged to the run. They run in the worker."""

from lthbench.training.probes.activations import Activations
from lthbench.training.probes.batch_norm import BatchStatistics
from lthbench.training.probes.fisher import BlockFisher, PerExampleGradients, per_example_gradients
from lthbench.training.probes.gradients import Gradients, HessianGradient, Sensitivity
from lthbench.training.probes.greedy import GreedyForward
from lthbench.training.probes.inputs import Inputs, Moments
from lthbench.training.probes.iterated import Iterated
from lthbench.training.probes.probe import Batches, Probe, passes_of
from lthbench.training.probes.synflow import SynFlowScores

__all__ = [
    "Activations",
    "BatchStatistics",
    "Batches",
    "BlockFisher",
    "Gradients",
    "GreedyForward",
    "HessianGradient",
    "Inputs",
    "Iterated",
    "Moments",
    "PerExampleGradients",
    "Probe",
    "Sensitivity",
    "SynFlowScores",
    "passes_of",
    "per_example_gradients",
]
