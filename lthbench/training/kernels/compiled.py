"""A forward pass as torch.compile makes it, and the backward pass with it: fused kernels for modules of every kind."""

import warnings
from typing import Any

import torch
import torch._dynamo.config
import torch._inductor.config
from torch import Tensor

from lthbench.pruning.tensors import Tensors
from lthbench.training.kernels.forward import Forward
from lthbench.training.metering.meter import counting, unmetered

warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")  # which the compiler looks at

BACKEND = "inductor"
OPTIONS = {"deterministic": True, "fallback_random": True}  # no choice by timing; torch's own random numbers
MOST = 4096  # compiled programs in one process: one a model, batch size, precision and device


def compiled(forward: Forward) -> Forward:
    """Return a forward pass by torch.compile. The first batch of each size takes up to minutes.

    A pass that a meter counts is computed as before: the meter sees the calls of modules. Raises an error of torch's
    compiler for a module that it cannot take whole.
    """
    fast = torch.compile(forward, fullgraph=True, dynamic=False, backend=BACKEND, options=_options())

    def compiled_forward(weights: Tensors, images: Tensor) -> Tensor:
        if counting():
            return forward(weights, images)
        with unmetered(), torch._dynamo.config.patch(recompile_limit=MOST, accumulated_recompile_limit=MOST):
            logits: Tensor = fast(weights, images)
            return logits

    return compiled_forward


def _options() -> dict[str, Any] | None:
    """Return the options that this version of torch has."""
    known = {name: value for name, value in OPTIONS.items() if hasattr(torch._inductor.config, name)}
    return known if BACKEND == "inductor" else None
