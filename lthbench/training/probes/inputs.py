"""What the layers of a network take in: the mean squares and the second moments of the inputs of each weight."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lthbench.errors import MethodError, unknown
from lthbench.pruning.tensors import Tensors
from lthbench.training.probes.probe import Batches


@dataclass(frozen=True)
class Inputs:
    """E[x²] of the input x that each weight multiplies, by prunable parameter and in its shape, in evaluation mode.

    The mean is over all examples and, in a convolution, over all positions. `layers` names the parameters of linear layers
    and convolutions, by default all prunable ones. Sun et al., ICLR 2024, arXiv:2306.11695, prune by |w| sqrt(E[x²]).
    """

    layers: tuple[str, ...] = ()
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        layers = _layers(type(self).__name__, model, mask, self.layers)
        means = _means(model, layers, batches, lambda x: x.square().sum(2))
        return {name: _as_weight(layers[name].weight, mean) for name, mean in means.items()}


@dataclass(frozen=True)
class Moments:
    """E[x xᵀ] of the inputs of each layer: float64 [groups, d, d] by prunable parameter, in evaluation mode.

    d is the number of weights of one output, and x what they multiply, in the order of `weight.flatten(1)`. `groups` is 1
    but in a grouped convolution. `layers` as in Inputs. Twice this matrix is the Hessian of a layer's squared error by the
    weights of an output: Frantar and Alistarh, NeurIPS 2022, arXiv:2208.11580.
    """

    layers: tuple[str, ...] = ()
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        layers = _layers(type(self).__name__, model, mask, self.layers)
        return _means(model, layers, batches, lambda x: x @ x.mT)


def _layers(probe: str, model: nn.Module, mask: Tensors, asked: tuple[str, ...]) -> dict[str, Any]:
    """Return the layers of the asked parameters, by name of the parameter. MethodError for one that has no such inputs."""
    if strangers := [name for name in asked if name not in mask]:
        raise MethodError(f"{probe}: " + unknown("prunable parameter", strangers[0], mask))
    layers = {name: model.get_submodule(name.rpartition(".")[0]) for name in asked or mask}
    for name, layer in layers.items():
        if not (isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight is model.get_parameter(name)):
            raise MethodError(f"{probe}: {name} is not the weight of a linear layer or a convolution; name others")
    return layers


def _means(model: nn.Module, layers: Mapping[str, Any], batches: Batches, statistic: Any) -> dict[str, Tensor]:
    """Return the mean over examples and positions of a statistic, which sums over the last dimension of the inputs."""
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def see(name: str, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = _inputs(layer, inputs[0]).double()
        sums[name] = sums.get(name, 0.0) + statistic(x)
        counts[name] += x.shape[2]

    with torch.no_grad(), _watched(layers, see):
        for images, _ in batches():
            model.eval()(images)
    return {name: total / counts[name] for name, total in sums.items()}


@contextmanager
def _watched(layers: Mapping[str, nn.Module], see: Any) -> Iterator[None]:
    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.enter_context(layer.register_forward_pre_hook(partial(see, name)))
        yield


def _inputs(layer: nn.Module, x: Tensor) -> Tensor:
    """Return what the weights of an output multiply: [groups, d, n], n the number of examples and positions."""
    if isinstance(layer, nn.Linear):
        return x.flatten(0, -2).T[None]
    assert isinstance(layer, nn.Conv2d)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    patches = F.unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride)  # [B, C k k, positions]
    return patches.unflatten(1, (layer.groups, -1)).permute(1, 2, 0, 3).flatten(2)


def _as_weight(weight: Tensor, mean: Tensor) -> Tensor:
    """Return a mean [groups, d] in the shape of the weights that it belongs to, float32."""
    each = mean[:, None].expand(-1, len(weight) // len(mean), -1)
    return each.reshape(weight.shape).float()
