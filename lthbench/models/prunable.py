"""Named sets of prunable weights, as papers prune them: `prunable = "ma2021"` in a suite instead of a list of patterns.

They hold weights of linear and convolution layers. The projections of nn.MultiheadAttention are linear, though none is a
layer of its own. Biases, normalisation, embeddings and all other parameters stay dense.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from lthbench.errors import InputError, unknown
from lthbench.models.layers import LAYERS, NORMS, PROJECTIONS

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
    layers = _layers(module)
    convolutions = [name for name, layer in layers.items() if not isinstance(layer, nn.Linear | nn.MultiheadAttention)]
    said = _said_classifiers(module)
    classifier = [name for name, layer in layers.items() if id(layer) in said] or list(layers)[-1:]
    return Weights(
        linear=frozenset(layers) - frozenset(convolutions),
        convolution=frozenset(convolutions),
        first=frozenset(convolutions[:1]),
        classifier=frozenset(classifier),
        resnet=resnet,
    )


def _layers(module: nn.Module) -> dict[str, nn.Module]:
    """Return the layer of every linear and convolution weight, by the name of the weight, in the module's order."""
    shown = dict(module.named_parameters())  # a parameter that two layers share has one name
    return {
        name: layer
        for prefix, layer in module.named_modules()
        for name, _ in layer.named_parameters(prefix, recurse=False)
        if name in shown and _is_weight(layer, name.rpartition(".")[2])
    }


def _is_weight(layer: nn.Module, name: str) -> bool:
    """Tell whether a parameter of a layer is a matrix or a kernel that activations are multiplied with."""
    if isinstance(layer, nn.MultiheadAttention):
        return name in PROJECTIONS
    return name == "weight" and isinstance(layer, LAYERS)


def classifier_layers(module: nn.Module) -> list[str]:
    """Return the names of the layers that are a module's classifier: those that it says, else its last layer with weights."""
    said = _said_classifiers(module)
    layers = [name for name, layer in module.named_modules() if id(layer) in said]
    return layers or [name for name, layer in module.named_modules() if isinstance(layer, LAYERS)][-1:]


def _said_classifiers(module: nn.Module) -> set[int]:
    """Return the ids of all layers in the module, or modules, that timm's `get_classifier` gives."""
    said = module.get_classifier() if callable(getattr(module, "get_classifier", None)) else ()  # type: ignore[operator]
    parts = said if isinstance(said, tuple) else (said,)
    return {id(layer) for part in parts if isinstance(part, nn.Module) for layer in part.modules()}


KINDS = {  # of parameters that stay dense: how they are called, and the layers that own them
    "recurrent": (nn.RNNBase, nn.RNNCellBase),
    "transposed convolutions": (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    "normalisation": NORMS,
    "embeddings": (nn.Embedding,),
}
NAMED = {  # kinds of parameters that belong to no layer: parts of the names that libraries give them, the first counts
    "biases": ("bias",),
    "embeddings": ("token", "pos", "height_rel", "width_rel"),
    "scales": ("scale", "gamma", "gain", "temperature", "alpha", "w_g"),
}
OUTSIDE, OTHERS = "linear and convolution weights outside the set", "others"


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
    if _is_weight(layer, name):
        return OUTSIDE
    by_layer = (kind for kind, layers in KINDS.items() if isinstance(layer, layers))
    by_name = (kind for kind, parts in NAMED.items() if any(part in name for part in parts))
    return next(by_layer, next(by_name, OTHERS))
