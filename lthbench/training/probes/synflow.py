"""Synaptic flow, a score that needs no examples."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches


@dataclass(frozen=True)
class SynFlowScores:
    """w · ∂R/∂w by prunable parameter, where R is the sum of the outputs for an image of ones under absolute
    parameters.

    Tanaka et al., NeurIPS 2020, arXiv:2006.05467. In evaluation mode and float64: R sums over all paths a product of
    one weight per layer.
    """

    passes: ClassVar[int] = 0
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        model.eval().double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.abs_()
        weights = [model.get_parameter(name) for name in mask]
        flow = model(torch.ones(1, *batches.shape, dtype=torch.float64, device=weights[0].device)).sum()
        slopes = torch.autograd.grad(flow, weights)
        return {name: (slope * w).detach() for name, slope, w in zip(mask, slopes, weights, strict=True)}
