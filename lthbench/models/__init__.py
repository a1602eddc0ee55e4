"""Architectures by name, their initialisations, and what they cost to run."""

from lthbench.models.init import SCHEMES, initial_tensors
from lthbench.models.model import FAMILIES, Model

__all__ = ["FAMILIES", "SCHEMES", "Model", "initial_tensors"]
