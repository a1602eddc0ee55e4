"""Criteria: scores of how much each weight should stay."""

import math

import torch
from torch import Generator, Tensor

from lthbench.methods.network import Network
from lthbench.pruning.allocate import Scores
from lthbench.pruning.tensors import Tensors


def alive(net: Network, scores: Tensors) -> Scores:
    """Return the scores, with -inf where the network is pruned."""
    mask = net.mask.tensors
    return {name: _masked(score, mask[name]) for name, score in scores.items()}


def magnitude(net: Network) -> Scores:
    """Return |w|, and -inf where pruned. Han et al., NeurIPS 2015."""
    return alive(net, {name: w.abs() for name, w in net.prunable.items()})


def random_scores(net: Network, g: Generator) -> Scores:
    """Return scores uniform in [0, 1), and -inf where pruned."""
    return alive(net, {name: torch.rand(w.shape, generator=g) for name, w in net.prunable.items()})


def _masked(score: Tensor, mask: Tensor) -> Tensor:
    return score.masked_fill(~mask, -math.inf)
