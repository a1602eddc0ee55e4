"""Stems: the first layers of library models, changed to fit small images and other numbers of channels."""

import torch
from torch import nn

from lthbench.errors import InputError, unknown

STEMS = {"cifar": 1, "tiny-imagenet": 2}  # stride of the 3x3 convolution; the first block then gets 32x32 maps in both


def with_stem(module: nn.Module, stem: str) -> nn.Module:
    """Make the first convolution 3x3 with the stem's stride and the same output channels, and drop the stem's pooling.

    The module is changed and returned. Raises InputError for an unknown stem, and where there is nothing to replace.
    """
    if stem not in STEMS:
        raise InputError(unknown("stem", stem, STEMS))
    name, first = _first_convolution(module)
    stride, pool = STEMS[stem], _stem_pool(module, name)
    if first.kernel_size == (3, 3) and first.stride == (stride, stride) and not pool:
        raise InputError(f"{name} is a 3x3 convolution of stride {stride} without pooling already; leave the stem out")
    if hasattr(first, "scale"):  # a factor that was computed from the size of the old kernel
        raise InputError(f"{name} is a {type(first).__name__}, which cannot be replaced")
    _reshape(first, first.in_channels, (3, 3))
    first.stride, first.padding = (stride, stride), (1, 1)
    if pool:
        parent, _, child = pool.rpartition(".")
        setattr(module.get_submodule(parent), child, nn.Identity())
    return module


def fit_channels(module: nn.Module, channels: int) -> nn.Module:
    """Make the first convolution take a number of channels. The module is changed and returned."""
    _, first = _first_convolution(module)
    if first.in_channels != channels:
        _reshape(first, channels, first.kernel_size)
    return module


def _reshape(convolution: nn.Conv2d, channels: int, kernel: tuple[int, ...]) -> None:
    old = convolution.weight
    shape = (convolution.out_channels, channels // convolution.groups, *kernel)
    convolution.in_channels, convolution.kernel_size = channels, kernel
    convolution.weight = nn.Parameter(torch.empty(shape, dtype=old.dtype, device=old.device))
    convolution.reset_parameters()


def _first_convolution(module: nn.Module) -> tuple[str, nn.Conv2d]:
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            return name, layer
    raise InputError("it has no convolution that a stem could replace")


def _stem_pool(module: nn.Module, first: str) -> str:
    """Return the name of the max-pooling beside a strided first convolution, or beside its parent; '' if there is none."""
    if max(module.get_submodule(first).stride) == 1:  # type: ignore[arg-type]
        return ""
    for name, layer in module.named_modules():
        parent = name.rpartition(".")[0]
        beside = not parent or first.startswith(f"{parent}.")
        if name and beside and _pools(layer) and not first.startswith(f"{name}."):
            return name
    return ""


def _pools(layer: nn.Module) -> bool:
    pooling = any(isinstance(part, nn.MaxPool2d) for part in layer.modules())
    return pooling and not any(True for _ in layer.parameters())
