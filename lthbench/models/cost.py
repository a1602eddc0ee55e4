"""What a forward pass costs."""

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from lthbench.models.model import Model


def multiplications(model: Model, mask: Mapping[str, Tensor]) -> tuple[int, int]:
    """Multiply-adds of one image through the linear and convolution layers: (those with a remaining weight, all)."""
    uses = _uses(model)
    dense = sum(model.shapes[name].numel() * count for name, count in uses.items())
    removed = sum(int((~mask[name]).sum()) * count for name, count in uses.items() if name in mask)
    return dense - removed, dense


@lru_cache(maxsize=256)
def _uses(model: Model) -> dict[str, int]:
    """How often each weight is multiplied in one forward pass: once, or at every position of a convolution's output."""
    module, uses = model.module().eval(), {}

    def count(name: str) -> None:
        def hook(layer: nn.Module, _: object, out: Tensor) -> None:
            uses[f"{name}.weight"] = out.shape[2:].numel()

        layers[name].register_forward_hook(hook)

    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    for name in layers:
        count(name)
    module(torch.empty(1, *model.shape, device="meta"))
    return uses
