"""The cost of a forward pass."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lthbench.models.layers import LAYERS, PROJECTIONS
from lthbench.models.model import Model


def multiplications(model: Model, mask: Mapping[str, Tensor]) -> tuple[int, int]:
    """Count the multiply-adds of one image through the linear and convolution layers: (those with a remaining weight, all).

    A weight counts once for every output position that it is multiplied for: pixels, tokens, windows. Products of
    activations with each other (attention) and elementwise ones are not counted.
    """
    counts = uses(model)
    dense = sum(model.shapes[name].numel() * count for name, count in counts.items())
    removed = sum(int((~mask[name]).sum()) * count for name, count in counts.items() if name in mask)
    return dense - removed, dense


def activations(model: Model) -> int:
    """Count the numbers that the linear and convolution layers put out for one image."""
    count = 0

    def add(layer: nn.Module, _: object, out: Tensor) -> None:
        nonlocal count
        count += out.numel()

    module = model.module().eval()
    for layer in module.modules():
        if isinstance(layer, LAYERS):
            layer.register_forward_hook(add)
    module(torch.empty(1, *model.shape, device="meta"))
    return count


@lru_cache(maxsize=256)
def uses(model: Model) -> Counter[str]:
    """Return the number of times that each weight is multiplied in one forward pass."""
    module = model.module().eval()
    counted = _Linears({id(parameter): name for name, parameter in module.named_parameters()})
    for name, layer in module.named_modules():
        if isinstance(layer, LAYERS) and not isinstance(layer, nn.Linear):
            layer.register_forward_hook(_convolution(f"{name}.weight", counted.uses))
        if isinstance(layer, nn.MultiheadAttention):
            layer.register_forward_hook(_attention(name, counted.uses))
    with counted:
        module(torch.empty(1, *model.shape, device="meta"))
    return Counter({name: count for name, count in counted.uses.items() if name in model.shapes})


class _Linears(TorchFunctionMode):
    """A counter of matrix products with a parameter, in whichever module: some layers use the weight of another one."""

    def __init__(self, names: Mapping[int, str]):
        super().__init__()
        self.names, self.uses = names, Counter[str]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.nn.functional.linear:
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            if id(weight) in self.names:
                self.uses[self.names[id(weight)]] += out.shape[:-1].numel()
        return out


def _convolution(name: str, uses: Counter[str]) -> Any:
    """Return a hook that counts a weight at every position of its channel's output. Some layers standardise their weights."""

    def hook(layer: nn.Module, _: object, out: Tensor) -> None:
        uses[name] += out.numel() // len(layer.weight)  # type: ignore[arg-type]

    return hook


def _attention(name: str, uses: Counter[str]) -> Any:
    """Return a hook for torch's self-attention, whose projections are not layers that are called."""

    def hook(layer: nn.Module, _: object, out: tuple[Tensor, ...]) -> None:
        for weight in (*PROJECTIONS, "out_proj.weight"):
            uses[f"{name}.{weight}"] += out[0].shape[:-1].numel()

    return hook
