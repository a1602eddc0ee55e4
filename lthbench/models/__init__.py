"""Architectures by name, their initialisations, and the cost of a forward pass."""

from lthbench.models.init import INITIALISATIONS, SCHEMES, initial_tensors
from lthbench.models.model import FAMILIES, Model
from lthbench.models.prunable import PRUNABLE
from lthbench.models.stem import STEMS

__all__ = ["FAMILIES", "INITIALISATIONS", "PRUNABLE", "SCHEMES", "STEMS", "Model", "initial_tensors"]
