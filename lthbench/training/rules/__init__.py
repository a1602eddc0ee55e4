"""Rules: changes to a training beyond the gradient step. They run in the worker, on the training device."""

from lthbench.training.rules.admm import ADMM
from lthbench.training.rules.checks import check_rule, passes_of_rule
from lthbench.training.rules.distillation import Distillation
from lthbench.training.rules.edge_popup import EdgePopup, NeuronPopup
from lthbench.training.rules.gradual import Gradual
from lthbench.training.rules.mixing import CutMix, Mixup
from lthbench.training.rules.movement import Movement
from lthbench.training.rules.penalty import L1
from lthbench.training.rules.rewiring import SET, GraNet, RigL
from lthbench.training.rules.rule import GradientAt, Rule, TrainingState, overrides
from lthbench.training.rules.sam import SAM
from lthbench.training.rules.slimming import Slimming

__all__ = [
    "ADMM",
    "L1",
    "SAM",
    "SET",
    "CutMix",
    "Distillation",
    "EdgePopup",
    "GraNet",
    "GradientAt",
    "Gradual",
    "Mixup",
    "Movement",
    "NeuronPopup",
    "RigL",
    "Rule",
    "Slimming",
    "TrainingState",
    "check_rule",
    "overrides",
    "passes_of_rule",
]
