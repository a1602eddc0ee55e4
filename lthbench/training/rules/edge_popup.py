"""Edge-popup: weights stay at their random values, and training chooses among them."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Size, Tensor

from lthbench.models import Model
from lthbench.pruning.allocate import removed_count, uniform_counts
from lthbench.pruning.tensors import Tensors
from lthbench.pruning.units import Units
from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class EdgePopup(Rule):
    """A score for every weight.

    The forward pass uses the weights with the highest |score|, the same share in every layer. Scores start uniform in
    ±1/sqrt(fan_in) and follow the recipe; the gradient goes straight through the choice. Nothing else is trained:
    biases stay 0, batch-norm stays without scale and shift. With `scaled`, the weights are multiplied by
    1/sqrt(density), which keeps the variance of the remaining network. Ramanujan et al., CVPR 2020, arXiv:1911.13299.
    """

    sparsity: float
    scaled: bool = True

    def shapes(self, s: TrainingState) -> dict[str, Size]:
        """Return the shape of the scores, by name."""
        return {name: s.params[name].shape for name in s.prunable}

    def counts(self, s: TrainingState) -> dict[str, int]:
        """Return the number of scores to remove, by name."""
        return uniform_counts({name: shape.numel() for name, shape in self.shapes(s).items()}, self.sparsity)

    def spread(self, s: TrainingState, gates: Tensors) -> Tensors:
        """Turn gates, by name of a score, into factors of the prunable parameters."""
        return gates

    def mask(self, s: TrainingState, kept: Tensors) -> Tensors:
        """Return the mask of parameters that corresponds to the kept scores."""
        return kept

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        scale = (1 - self.sparsity) ** -0.5 if self.scaled else 1.0
        frozen = {f"frozen/{name}": s.params[name].detach() * scale for name in s.prunable}
        return frozen | {f"score/{name}": self._drawn(s, name, shape) for name, shape in self.shapes(s).items()}

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        return {name: t for name, t in s.state.items() if name.startswith("score/")}

    def weights(self, s: TrainingState) -> dict[str, Tensor]:
        sizes = {name: s.state[f"score/{name}"].abs() for name in self.shapes(s)}
        gates = {name: kept + (sizes[name] - sizes[name].detach()) for name, kept in self._kept(s).items()}
        return s.params | {n: s.state[f"frozen/{n}"] * factor for n, factor in self.spread(s, gates).items()}

    def finish(self, s: TrainingState) -> None:
        for name, kept in self.mask(s, self._kept(s)).items():
            s.mask[name].copy_(kept)
            s.params[name].copy_(s.state[f"frozen/{name}"] * s.mask[name])

    def _kept(self, s: TrainingState) -> dict[str, Tensor]:
        """Mark the highest |scores| of every layer, an exact number of them."""
        gone = self.counts(s)
        return {name: _top(s.state[f"score/{name}"].detach().abs(), gone[name]) for name in gone}

    def _drawn(self, s: TrainingState, name: str, shape: Size) -> Tensor:
        uniform = 2 * torch.rand(shape, generator=s.generator) - 1
        fan_in = next(s.params[n][0].numel() for n in s.prunable if n == name or n.startswith(f"{name}."))
        return uniform.to(s.params[s.prunable[0]].device) / math.sqrt(fan_in)


@dataclass(frozen=True)
class NeuronPopup(EdgePopup):
    """Edge-popup with one score for each neuron or channel: a neuron-subnetwork of Malach et al., ICML 2020.

    The same share of neurons is removed in every layer: the smallest share that removes at least the weights asked for.
    """

    def shapes(self, s: TrainingState) -> dict[str, Size]:
        return {name: Size([size]) for name, size in s.units.sizes.items()}

    def counts(self, s: TrainingState) -> dict[str, int]:
        return _fewest(s.model, self.sparsity)

    def spread(self, s: TrainingState, gates: Tensors) -> Tensors:
        whole = {name: torch.ones_like(s.state[f"frozen/{name}"]) for name in s.prunable}
        return s.units.spread(gates, whole)

    def mask(self, s: TrainingState, kept: Tensors) -> Tensors:
        return s.units.mask({name: ~k.cpu() for name, k in kept.items()}, s.model.prunable_shapes)


@lru_cache
def _fewest(model: Model, sparsity: float) -> dict[str, int]:
    """Count the neurons to remove in each layer: the smallest common share that removes enough weights.

    One always stays.
    """
    units, shapes = Units.of(model), model.prunable_shapes
    asked = removed_count(model.prunable_count, sparsity)
    for share in sorted({gone / size for size in units.sizes.values() for gone in range(size)}):
        counts = {name: math.floor(share * size + 1e-9) for name, size in units.sizes.items()}
        if units.removed(counts, shapes) >= asked:
            break
    return counts


def _top(scores: Tensor, gone: int) -> Tensor:
    """Mark all but the `gone` lowest scores: boolean, an exact number even if scores tie."""
    flat = scores.flatten()
    kept = torch.zeros_like(flat, dtype=torch.bool)
    kept.index_fill_(0, flat.topk(len(flat) - gone, sorted=False).indices, True)
    return kept.view_as(scores)
