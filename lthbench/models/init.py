"""Initial weights by a named scheme: a function of (model, scheme, seed, stream), the same bits on every machine.

Drawn on the CPU in float64, where the result does not depend on the processor's vector width, from a generator of its
own for every parameter name, and rounded to float32.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from lthbench import keys
from lthbench.errors import InputError, unknown
from lthbench.models.model import Model

Scheme = Callable[[torch.Size, Generator], Tensor]


def _fan_in(shape: torch.Size) -> int:
    return shape[1:].numel()


def kaiming_normal(shape: torch.Size, g: Generator) -> Tensor:
    """N(0, 2 / fan_in). He et al., ICCV 2015."""
    return torch.randn(shape, generator=g, dtype=torch.float64) * math.sqrt(2 / _fan_in(shape))


def kaiming_uniform(shape: torch.Size, g: Generator) -> Tensor:
    """U(-b, b), b = sqrt(6 / fan_in). He et al., ICCV 2015."""
    return (2 * torch.rand(shape, generator=g, dtype=torch.float64) - 1) * math.sqrt(6 / _fan_in(shape))


def signed_constant(shape: torch.Size, g: Generator) -> Tensor:
    """±sqrt(2 / fan_in), the sign at random. Ramanujan et al., CVPR 2020."""
    signs = torch.randint(0, 2, shape, generator=g).to(torch.float64) * 2 - 1
    return signs * math.sqrt(2 / _fan_in(shape))


SCHEMES: dict[str, Scheme] = {
    "kaiming-normal": kaiming_normal,
    "kaiming-uniform": kaiming_uniform,
    "signed-constant": signed_constant,
}


def initial_tensors(model: Model, scheme: str, seed: int, stream: int) -> dict[str, Tensor]:
    """All parameters and buffers at initialisation, float32 (buffers in their own type), by name.

    Weights of linear and convolution layers follow the scheme; biases are 0; normalisation layers start as the identity.
    """
    if scheme not in SCHEMES:
        raise InputError(unknown("initialisation", scheme, SCHEMES))
    tensors: dict[str, Tensor] = {}
    for prefix, layer in model.module().named_modules():
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            generator = Generator().manual_seed(keys.seed("init", name, seed, stream))
            tensors[name] = _initial(layer, name, parameter.shape, SCHEMES[scheme], generator)
        for name, buffer in layer.named_buffers(prefix, recurse=False):
            tensors[name] = (torch.ones if name.endswith("running_var") else torch.zeros)(
                buffer.shape, dtype=buffer.dtype
            )
    return tensors


def _initial(layer: nn.Module, name: str, shape: torch.Size, scheme: Scheme, generator: Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
        return scheme(shape, generator).to(torch.float32)
    if isinstance(layer, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm):
        return torch.ones(shape)
    raise InputError(f"no initialisation is known for {name} of a {type(layer).__name__}")
