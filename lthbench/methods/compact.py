"""Compact networks: a smaller module, without the lost units of a network, that computes the same.

A unit is lost if all prunable weights that compute it or read it are zero. A layer that has lost all of its units keeps
one, because a layer needs at least one.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from lthbench.models import Model
from lthbench.models.channels import Slice
from lthbench.models.cost import uses
from lthbench.pruning.tensors import Tensors
from lthbench.pruning.units import Units


class Pruned(Protocol):
    """A network of a method, or a ticket: anything with a model and a module of its own."""

    @property
    def model(self) -> Model: ...

    def module(self) -> nn.Module: ...


def compact(net: Pruned) -> nn.Module:
    """Return a private module without the units that a network or ticket has lost, in eval mode, on the CPU.

    It is a module of the same class with smaller layers. Its outputs are those of `net.module()` up to the rounding of
    shorter sums. If nothing is lost it is `net.module()`. A ticket gives its final values; `ticket.at_start` its start.
    """
    return compacted(net.model, net.module())


def compacted(model: Model, module: nn.Module) -> nn.Module:
    """Remove the lost units from the model's module, in eval mode. Changes the module and returns it."""
    lost = _lost(model, module)
    with torch.no_grad():
        _fold(model, module, lost)
        for group in Units.of(model).groups:
            gone = lost[group.name]
            if gone.any():
                vectors = [Slice(name, 0) for _, name in group.vectors]
                for s in (*group.own, *group.read, *vectors):
                    _cut(module, s, ~gone)
    return module


def fitted(module: nn.Module, tensors: Tensors) -> nn.Module:
    """Put these parameters and buffers, by name, into a module, whose layers take their sizes. Changes it and returns it."""
    for name, tensor in tensors.items():
        _put(module, name, tensor)
    return module


def compact_cost(model: Model, module: nn.Module) -> tuple[int, int] | None:
    """Return (parameters, multiplications of one image) of the module from `compacted`. None if no unit is lost."""
    gone = {name: int(lost.sum()) for name, lost in _lost(model, module).items()}
    if not any(gone.values()):
        return None
    left = Units.of(model).without(gone, model.shapes)
    multiplications = sum(left[name].numel() * count for name, count in uses(model).items())
    return sum(shape.numel() for shape in left.values()), multiplications


def _lost(model: Model, module: nn.Module) -> dict[str, Tensor]:
    """Mark the units that are lost: boolean, [units] by group."""
    weights = dict(module.named_parameters())
    lost = Units.of(model).gone({name: weights[name].detach() != 0 for name in model.prunable_shapes})
    for gone in lost.values():
        gone[0] &= ~gone.all()
    return lost


def _fold(model: Model, module: nn.Module, lost: Tensors) -> None:
    """Add the contribution of lost units to the biases of linear layers that are not prunable.

    It is the same for every input. All other layers read lost units with zero weights.
    """
    for group in Units.of(model).groups:
        for s in group.read:
            gone = lost[group.name].repeat_interleave(s.repeat)
            if s.name not in model.prunable_shapes and gone.any():
                layer = _layer(module, s.name)
                layer.bias += layer.weight[:, gone] @ _heard(model, module, layer)[gone]  # type: ignore[index, operator]


def _heard(model: Model, module: nn.Module, layer: nn.Module) -> Tensor:
    """Return the input of a linear layer of the module for an image of zeros: [features]."""
    given: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    module(torch.zeros(1, *model.shape, device=next(module.parameters()).device))
    handle.remove()
    return given[0].flatten(0, -2)[0]


def _cut(module: nn.Module, s: Slice, stay: Tensor) -> None:
    """Keep these units of a parameter or buffer, and set the size of its layer."""
    old = getattr(_layer(module, s.name), s.name.rpartition(".")[2])
    _put(module, s.name, old.detach().index_select(s.dim, stay.repeat_interleave(s.repeat).nonzero().flatten()))


def _put(module: nn.Module, name: str, new: Tensor) -> None:
    """Replace a parameter or buffer, and set the size of its layer."""
    layer, own = _layer(module, name), name.rpartition(".")[2]
    setattr(layer, own, nn.Parameter(new) if isinstance(getattr(layer, own), nn.Parameter) else new)
    if own != "weight":
        return
    match layer:
        case nn.Linear():
            layer.out_features, layer.in_features = new.shape
        case nn.modules.batchnorm._BatchNorm():
            layer.num_features = len(new)
        case nn.modules.conv._ConvNd():
            if layer.groups > 1:
                layer.groups = len(new)
            layer.out_channels, layer.in_channels = len(new), new.shape[1] * layer.groups


def _layer(module: nn.Module, parameter: str) -> nn.Module:
    return module.get_submodule(parameter.rpartition(".")[0])
