"""In which order a network's tensors lie in memory while it trains."""

import torch
from torch import nn

FEW = 8  # input channels, below which oneDNN's AVX2 kernel writes out of bounds


def memory_format(module: nn.Module, device: torch.device) -> torch.memory_format:
    """Return channels-last, which trains ResNet-20 1.3 times as fast on a CPU, unless a kernel of this CPU breaks on it.

    Without AVX-512, oneDNN's weight gradient of a strided 1x1 convolution with few input channels corrupts memory in
    channels-last (uxlfoundation/oneDNN#6035). Such a module stays contiguous there.
    """
    breaks = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() != "AVX512"
    return torch.contiguous_format if breaks and any(map(_strided, module.modules())) else torch.channels_last


def _strided(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.stride != (1, 1)
        and layer.in_channels < FEW
    )
