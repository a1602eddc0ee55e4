"""Named sets of prunable weights, as papers prune them: `prunable = "ma2021"` in a suite instead of a list of patterns.

They hold weights of linear and convolution layers. Biases, normalisation and all other parameters stay dense.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from lthbench.errors import InputError, unknown
from lthbench.models.layers import LAYERS, NORMS

Names = frozenset[str]


@dataclass(frozen=True)
class Weights:
    """The names of a module's linear and convolution weights. `first` is empty where there is no convolution."""

    linear: Names
    convolution: Names
    first: Names
    classifier: Names
    resnet: bool


PRUNABLE: dict[str, Callable[[Weights], Names]] = {
    "all": lambda w: w.linear | w.convolution,
    # Ma et al. 2021: the convolutions of the blocks and of their shortcuts
    "ma2021": lambda w: w.convolution - w.first - w.classifier,
    # Liu et al. 2021: all but the first convolution
    "liu2021": lambda w: (w.linear | w.convolution) - w.first,
    # Chen et al. 2021: everything, shortcuts too, except the classifier of networks that are not ResNets
    "chen2021": lambda w: (w.linear | w.convolution) - (frozenset() if w.resnet else w.classifier),
}


def prunable_names(which: str, module: nn.Module, resnet: bool) -> Names:
    """Return the names of the parameters in a named set, from a walk over the module. Raises InputError for an unknown set."""
    if which not in PRUNABLE:
        raise InputError(unknown("set of prunable weights", which, PRUNABLE))
    return PRUNABLE[which](_weights(module, resnet))


def classifier(module: nn.Module) -> Names:
    """Return the names of the weights of the output layer; of several for a library model that has several."""
    return _weights(module, resnet=False).classifier


def _weights(module: nn.Module, resnet: bool) -> Weights:
    """Return the weights of a module by their part.

    The first convolution and the classifier are the first and the last of their kind in the module's order, unless a
    library model says what its classifier is.
    """
    parameters = dict(module.named_parameters())
    layers = {f"{name}.weight": layer for name, layer in module.named_modules() if isinstance(layer, LAYERS)}
    layers = {name: layer for name, layer in layers.items() if name in parameters}
    linear = frozenset(name for name, layer in layers.items() if isinstance(layer, nn.Linear))
    convolutions = [name for name in layers if name not in linear]
    said = _said_classifiers(module)
    classifier = [name for name, layer in layers.items() if id(layer) in said] or list(layers)[-1:]
    return Weights(linear, frozenset(convolutions), frozenset(convolutions[:1]), frozenset(classifier), resnet)


def _said_classifiers(module: nn.Module) -> set[int]:
    """Return the ids of all layers in the module, or modules, that timm's `get_classifier` gives."""
    said = module.get_classifier() if callable(getattr(module, "get_classifier", None)) else ()  # type: ignore[operator]
    parts = said if isinstance(said, tuple) else (said,)
    return {id(layer) for part in parts if isinstance(part, nn.Module) for layer in part.modules()}


KINDS = {  # of parameters that stay dense: how they are called, and the layers that own them
    "attention": (nn.MultiheadAttention,),
    "recurrent": (nn.RNNBase, nn.RNNCellBase),
    "normalisation": NORMS,
    "embeddings": (nn.Embedding,),
}
OUTSIDE, BIASES, OTHERS = "linear and convolution weights outside the set", "biases", "others"


def dense_kinds(module: nn.Module, prunable: Names) -> Counter[str]:
    """Return the number of parameters that stay dense, by kind, the most frequent first."""
    shown = dict(module.named_parameters())  # a parameter that two layers share has one name
    found = Counter[str]()
    for prefix, layer in module.named_modules():
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            if name in shown and name not in prunable:
                found[_kind(layer, name.rpartition(".")[2])] += parameter.numel()
    return Counter(dict(found.most_common()))


def _kind(layer: nn.Module, name: str) -> str:
    for kind, layers in KINDS.items():
        if isinstance(layer, layers):
            return kind
    if "bias" in name:
        return BIASES
    return OUTSIDE if isinstance(layer, LAYERS) else OTHERS
