"""Probes: measurements outside a training, on examples that were paid for. They run in the worker."""

from lthbench.training.probes.activations import Activations
from lthbench.training.probes.gradients import Gradients, HessianGradient, Sensitivity
from lthbench.training.probes.greedy import GreedyForward
from lthbench.training.probes.iterated import Iterated
from lthbench.training.probes.probe import Batches, Probe, passes_of
from lthbench.training.probes.synflow import SynFlowScores

__all__ = [
    "Activations",
    "Batches",
    "Gradients",
    "GreedyForward",
    "HessianGradient",
    "Iterated",
    "Probe",
    "Sensitivity",
    "SynFlowScores",
    "passes_of",
]
