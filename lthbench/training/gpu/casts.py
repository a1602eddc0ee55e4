"""bf16 copies of weights, cast all together: a few kernels a step, where autocast casts each weight and each gradient alone.

The values are those of autocast: each weight is rounded once before the forward pass, and its gradient widened once after
the backward pass.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lthbench.training.rules import overrides
from lthbench.training.trajectory import Trajectory

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
)  # their forward passes hand weight and bias to one operation that autocast casts for
OTHER_USES = ("weights", "loss", "penalty", "gradient")  # hooks that may differentiate by the weights themselves


def ahead(trajectory: Trajectory, device: torch.device) -> bool:
    """Tell whether a training casts its weights ahead: in bf16 on a GPU, where the loss alone depends on them.

    On a CPU a training has the bits that autocast gives it.
    """
    plain = not any(overrides(trajectory.rule, hook) for hook in OTHER_USES)
    alone = trajectory.start.basis is None and trajectory.recipe.shards == 1
    return device.type == "cuda" and trajectory.precision == "bf16" and plain and alone


class Casts:
    """The copies of the trained weights of plain layers, by name. A layer of another class keeps autocast's own casts."""

    def __init__(self, module: nn.Module, trained: Mapping[str, Tensor]):
        layers = {name: layer for name, layer in module.named_modules() if type(layer) in LAYERS}
        names = [f"{layer}.{own}" for layer in layers for own in ("weight", "bias")]
        self._masters = {name: trained[name] for name in names if name in trained}
        self._copies = {n: torch.empty_like(t, dtype=torch.bfloat16).requires_grad_() for n, t in self._masters.items()}

    def refreshed(self) -> dict[str, Tensor]:
        """Return the copies, with the present values of the weights."""
        with torch.no_grad():
            torch._foreach_copy_(list(self._copies.values()), list(self._masters.values()))
        return dict(self._copies)

    def sources(self, trained: Mapping[str, Tensor]) -> list[Tensor]:
        """Return what the loss is differentiated by, in the order of the trained tensors: copies where there are some."""
        return [self._copies.get(name, t) for name, t in trained.items()]

    def widened(self, trained: Mapping[str, Tensor], grads: Sequence[Tensor]) -> list[Tensor]:
        """Return the gradients in the types of the trained tensors."""
        found = dict(zip(trained, grads, strict=True))
        wide = {name: torch.empty_like(self._masters[name]) for name in self._copies}
        torch._foreach_copy_(list(wide.values()), [found[name] for name in wide])
        return list((found | wide).values())
