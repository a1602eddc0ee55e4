"""Initial weights by a named scheme: a function of (model, scheme, seed, stream), the same bits on every machine.

They are drawn on the CPU in float64, where the result does not depend on the processor's vector width, and rounded to
float32. The schemes that are functions draw every parameter from its own generator, made from its name.
"""

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn

from lthbench import keys
from lthbench.errors import InputError, unknown
from lthbench.models.layers import LAYERS, NORMS
from lthbench.models.model import Model

Scheme = Callable[[torch.Size, Generator], Tensor]


def _fan_in(shape: torch.Size) -> int:
    return shape[1:].numel()


def kaiming_normal(shape: torch.Size, g: Generator) -> Tensor:
    """Draw from N(0, 2 / fan_in). He et al., ICCV 2015."""
    return torch.randn(shape, generator=g, dtype=torch.float64) * math.sqrt(2 / _fan_in(shape))


def kaiming_uniform(shape: torch.Size, g: Generator) -> Tensor:
    """Draw from U(-b, b), b = sqrt(6 / fan_in). He et al., ICCV 2015."""
    return (2 * torch.rand(shape, generator=g, dtype=torch.float64) - 1) * math.sqrt(6 / _fan_in(shape))


def glorot_normal(shape: torch.Size, g: Generator) -> Tensor:
    """Draw from N(0, 2 / (fan_in + fan_out)). Glorot and Bengio, AISTATS 2010."""
    fan_out = shape[0] * shape[2:].numel()
    return torch.randn(shape, generator=g, dtype=torch.float64) * math.sqrt(2 / (_fan_in(shape) + fan_out))


def signed_constant(shape: torch.Size, g: Generator) -> Tensor:
    """Draw ±sqrt(2 / fan_in), the sign at random. Ramanujan et al., CVPR 2020."""
    signs = torch.randint(0, 2, shape, generator=g).to(torch.float64) * 2 - 1
    return signs * math.sqrt(2 / _fan_in(shape))


def uniform(shape: torch.Size, g: Generator) -> Tensor:
    """Draw from U(-1, 1), whatever the width. Malach et al., ICML 2020."""
    return 2 * torch.rand(shape, generator=g, dtype=torch.float64) - 1


SCHEMES: dict[str, Scheme] = {
    "kaiming-normal": kaiming_normal,
    "kaiming-uniform": kaiming_uniform,
    "glorot-normal": glorot_normal,
    "signed-constant": signed_constant,
    "uniform": uniform,
}
LIBRARY = "library"  # as the family or its library initialises the whole model
INITIALISATIONS = (*SCHEMES, LIBRARY)


def initial_tensors(model: Model, scheme: str, seed: int, stream: int) -> dict[str, Tensor]:
    """Return all parameters and buffers at initialisation, float32 (buffers in their own type), by name.

    Weights of linear and convolution layers follow the scheme; biases are 0; normalisation layers start as the identity.
    Other parameters (class tokens, position embeddings, …) are as the scheme "library" has them.
    """
    if scheme not in INITIALISATIONS:
        raise InputError(unknown("initialisation", scheme, INITIALISATIONS))
    module = model.module()
    known = _drawn(module, SCHEMES[scheme], seed, stream) if scheme != LIBRARY else {}
    wanted = dict(module.named_parameters()) | dict(module.named_buffers())
    others = {} if known.keys() >= wanted.keys() else _library(model, seed, stream)
    return {name: known[name] if name in known else others[name].to(t.dtype) for name, t in wanted.items()}


def _drawn(module: nn.Module, scheme: Scheme, seed: int, stream: int) -> dict[str, Tensor]:
    """Return the tensors that a scheme defines."""
    tensors: dict[str, Tensor | None] = {}
    for prefix, layer in module.named_modules():
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            generator = Generator().manual_seed(keys.seed("init", name, seed, stream))
            tensors[name] = _initial(layer, name, parameter.shape, scheme, generator)
        if isinstance(layer, NORMS):
            for name, buffer in layer.named_buffers(prefix, recurse=False):
                fill = torch.ones if name.endswith("running_var") else torch.zeros
                tensors[name] = fill(buffer.shape, dtype=buffer.dtype)
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _initial(layer: nn.Module, name: str, shape: torch.Size, scheme: Scheme, generator: Generator) -> Tensor | None:
    kind = name.rpartition(".")[2]
    if kind == "bias" and isinstance(layer, LAYERS + NORMS):
        return torch.zeros(shape)
    if kind == "weight" and isinstance(layer, LAYERS):
        return scheme(shape, generator).to(torch.float32)
    return torch.ones(shape) if kind == "weight" and isinstance(layer, NORMS) else None


def _library(model: Model, seed: int, stream: int) -> dict[str, Tensor]:
    """Return a model's own initialisation in float64, from the CPU's global generator, which is put back afterwards."""
    with torch.random.fork_rng(devices=[]), _default_dtype(torch.float64):
        torch.default_generator.manual_seed(keys.seed("library", seed, stream))
        module = model.build("cpu")
    return {n: t.detach() for n, t in (*module.named_parameters(), *module.named_buffers())}


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
