"""Which weights papers prune, by name: `prunable = "ma2021"` in a suite instead of a list of patterns.

All of them are weights of linear and convolution layers; biases, normalisation and whatever else a model has stay dense.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from lthbench.errors import InputError, unknown
from lthbench.models.layers import LAYERS

Names = frozenset[str]


@dataclass(frozen=True)
class Weights:
    """A module's linear and convolution weights by name; `first` is empty where there is no convolution."""

    linear: Names
    convolution: Names
    first: Names
    classifier: Names
    resnet: bool


PRUNABLE: dict[str, Callable[[Weights], Names]] = {
    "all": lambda w: w.linear | w.convolution,
    # Ma et al. 2021: the convolutions of the blocks and of the shortcuts between them
    "ma2021": lambda w: w.convolution - w.first - w.classifier,
    # Liu et al. 2021: all but the first convolution
    "liu2021": lambda w: (w.linear | w.convolution) - w.first,
    # Chen et al. 2021: everything, shortcuts too, but for the classifier of networks that are not ResNets
    "chen2021": lambda w: (w.linear | w.convolution) - (frozenset() if w.resnet else w.classifier),
}


def prunable_names(which: str, module: nn.Module, resnet: bool) -> Names:
    """The names of the parameters in a named set, found by walking the module. Raises InputError for an unknown set."""
    if which not in PRUNABLE:
        raise InputError(unknown("set of prunable weights", which, PRUNABLE))
    return PRUNABLE[which](_weights(module, resnet))


def _weights(module: nn.Module, resnet: bool) -> Weights:
    """The first convolution and the classifier are the first and the last of their kind in the module's order, unless
    a library model says which its classifier is."""
    parameters = dict(module.named_parameters())
    layers = {f"{name}.weight": layer for name, layer in module.named_modules() if isinstance(layer, LAYERS)}
    layers = {name: layer for name, layer in layers.items() if name in parameters}
    linear = frozenset(name for name, layer in layers.items() if isinstance(layer, nn.Linear))
    convolutions = [name for name in layers if name not in linear]
    said = _said_classifiers(module)
    classifier = [name for name, layer in layers.items() if id(layer) in said] or list(layers)[-1:]
    return Weights(linear, frozenset(convolutions), frozenset(convolutions[:1]), frozenset(classifier), resnet)


def _said_classifiers(module: nn.Module) -> set[int]:
    """The ids of all layers in what timm's `get_classifier` gives: a module, or several."""
    said = module.get_classifier() if callable(getattr(module, "get_classifier", None)) else ()  # type: ignore[operator]
    parts = said if isinstance(said, tuple) else (said,)
    return {id(layer) for part in parts if isinstance(part, nn.Module) for layer in part.modules()}
