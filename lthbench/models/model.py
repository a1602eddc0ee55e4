"""Models: a name with its arguments, and the set of its prunable parameters."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from lthbench.errors import InputError, unknown
from lthbench.models import (
    conv,
    imagenet_resnet,
    installed,
    lenet,
    library,
    mlp,
    mobilenet,
    own,
    renamed,
    resnet,
    vgg,
    vit,
)
from lthbench.models.layers import NORMS
from lthbench.models.prunable import classifier, dense_kinds, prunable_names
from lthbench.models.reparametrised import changed
from lthbench.models.stem import with_stem

Build = Callable[[str, tuple[int, int, int], int, float], nn.Module]  # of name, shape, classes, width

FAMILIES: dict[str, tuple[str, Build]] = {  # family: (pattern of its names, how to build one)
    "mlp-W1-W2-…": (r"mlp(-[1-9]\d*)+", mlp.build),
    "lenet5": (r"lenet5", lenet.build),
    **{f"conv{depth}": (rf"conv{depth}", conv.build) for depth in (2, 4, 6, 8)},
    **{f"resnet{depth}": (rf"resnet{depth}", resnet.build) for depth in resnet.DEPTHS},
    **{f"resnet{depth}": (rf"resnet{depth}", imagenet_resnet.build) for depth in imagenet_resnet.BLOCKS},
    **{f"vgg{depth}": (rf"vgg{depth}", vgg.build) for depth in vgg.STAGES},
    **{f"mobilenet-{version}": (rf"mobilenet-{version}", mobilenet.build) for version in ("v1", "v2")},
    "vit-WIDTH-DEPTH-PATCH": (r"vit-[1-9]\d{0,3}-[1-9]\d?-[1-9]\d?", vit.build),
    "timm:NAME": (r"timm:.+", library.timm),
    "torchvision:NAME": (r"torchvision:.+", library.torchvision),
}

_WIDTH = re.compile(r"(?P<base>.+)-w(?P<factor>[1-9]\d*(\.\d+)?|0\.\d*[1-9]\d*)")

_REFUSALS = (
    AssertionError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
)  # what libraries raise for a size that they cannot take


@dataclass(frozen=True)
class Model:
    """An architecture for images of `shape` (channels, height, width) and a number of classes.

    `width` multiplies the number of channels or neurons, and so does a name's ending: `resnet32-w2` is twice as wide.
    `prunable` is the name of a set (lthbench.models.prunable), or patterns as in fnmatch. Every parameter name must match
    exactly one of the patterns in `prunable` and `dense`. `stem` replaces the first layers of ImageNet models ("cifar" or
    "tiny-imagenet"). The shapes raise InputError for unclear patterns, for images that the architecture cannot take, and
    for prunable weights that it changes before it computes with them.

    >>> model = Model("mlp-32", (1, 8, 8), 10, "all")
    >>> model.prunable_count
    2368
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    prunable: tuple[str, ...] | str
    dense: tuple[str, ...] = ()
    width: float = 1.0
    stem: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that enter a key: they decide the tensors. Patterns and the spelling of a width do not.

        The model of a library or of an installed package has its version among them, which decides what it computes.
        """
        base, width = self._base
        more = {"stem": self.stem} if self.stem else {}
        release = library.release(base) or installed.release(base)
        more |= {"library": release} if release else {}
        return {"name": base, "shape": self.shape, "classes": self.classes, "width": width, **more}

    def module(self) -> nn.Module:
        """Return a new module on the meta device: shapes without values. No random number is drawn."""
        try:
            return self.build("meta")
        except RuntimeError:  # a library model that looks at values while it is built
            return self.build("cpu").to("meta")

    def build(self, device: str) -> nn.Module:
        """Return a new module as its family initialises it, from the global generator, which is put back afterwards.

        Raises InputError where there is no such model, or none for these images. On the meta device it raises RuntimeError
        where the model cannot be built without values.
        """
        base, width = self._base
        build = builder(base)
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device):
                module = build(base, self.shape, self.classes, width)
                return with_stem(module, self.stem) if self.stem else module
        except InputError as error:
            raise InputError(f"model {self.name}: {error}") from None
        except (RuntimeError, *_REFUSALS) as error:
            if device == "meta" and isinstance(error, RuntimeError):
                raise
            raise _unfit(self, error) from error

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """The shapes of the parameters by name, in the module's order."""
        return _described(self)[0]

    @property
    def prunable_shapes(self) -> dict[str, torch.Size]:
        """The shapes of the parameters that pruning may touch."""
        shapes, prunable = _described(self)
        return {name: shape for name, shape in shapes.items() if name in prunable}

    @property
    def prunable_count(self) -> int:
        """The number of weights that pruning may touch."""
        return sum(shape.numel() for shape in self.prunable_shapes.values())

    @property
    def output_weights(self) -> frozenset[str]:
        """The names of the weights of the output layer."""
        return classifier(self.module())

    @property
    def dense_kinds(self) -> Counter[str]:
        """The number of parameters that stay dense, by kind, the most frequent first."""
        return dense_kinds(self.module(), _described(self)[1])

    def check_batch(self, images: int) -> None:
        """Raise InputError where the model cannot be trained on a batch of this number of images."""
        _fitted(replace(self, prunable="all", dense=()), images)

    def narrowed(self, density: float) -> "Model":
        """Return the widest model of the same depth that has at most density x prunable weights of this one.

        Raises InputError where even the narrowest has more, and for library models, which have no width.
        """
        allowed = round(density * self.prunable_count)
        if self.prunable_count <= allowed:
            return self
        low, high = 0.0, self.width
        if replace(self, width=low).prunable_count > allowed:
            raise InputError(
                f"no {self.name} is narrow enough for {allowed} prunable weights; ask for a lower sparsity"
            )
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (middle, high) if replace(self, width=middle).prunable_count <= allowed else (low, middle)
        return replace(self, width=low)

    @property
    def _base(self) -> tuple[str, float]:
        """The name without its width, and the product of both widths."""
        found = _WIDTH.fullmatch(self.name)
        return (found["base"], float(self.width * float(found["factor"]))) if found else (self.name, float(self.width))


def builder(name: str) -> Build:
    """Find what builds a model of this name. InputError for an unknown one."""
    for pattern, build in FAMILIES.values():
        if re.fullmatch(pattern, name):
            return build
    raise InputError(unknown("model", name, FAMILIES))


FAMILIES["renamed-NAME"] = (r"renamed-.+", renamed.family(builder))  # for the battery
FAMILIES["FILE.py:NAME"] = (r".+\.py(:.*)?", own.build)
FAMILIES |= {name: (re.escape(name), installed.build) for name in installed.names() if name not in FAMILIES}


@lru_cache(maxsize=4096)
def _described(model: Model) -> tuple[dict[str, torch.Size], frozenset[str]]:
    """Return the shapes of all parameters, and the names of the prunable ones."""
    unmasked = _fitted(replace(model, width=1.0, prunable="all", dense=()), 2)
    module = model.module()
    shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
    prunable = _prunable(model, module, list(shapes))
    if wrong := [name for name in shapes if name in prunable & unmasked]:
        raise InputError(
            f"model {model.name} changes {len(wrong)} of its prunable weights before it computes with them, {wrong[0]} "
            "for one (weight standardisation, say): zeros in them would not make it sparse; choose another model"
        )
    return shapes, prunable


def _prunable(model: Model, module: nn.Module, names: list[str]) -> frozenset[str]:
    if isinstance(model.prunable, tuple):
        return _matching(model, module, names)
    if model.dense:
        raise InputError(f"{model.name}: prunable = {model.prunable!r} classifies every parameter; leave dense out")
    return prunable_names(model.prunable, module, resnet="resnet" in model.name)


def _matching(model: Model, module: nn.Module, names: list[str]) -> frozenset[str]:
    """Return the names that match the patterns in `prunable`. Every other name must match those in `dense`."""
    prunable = frozenset(name for name in names if _matches(name, model.prunable))
    unclear = [name for name in names if (name in prunable) == _matches(name, model.dense)]
    if unclear:
        raise InputError(
            f"{model.name}: {', '.join(unclear)} must match either prunable = {list(model.prunable)} or "
            f"dense = {list(model.dense)}, and not both"
        )
    norms = {name for name, layer in module.named_modules() if isinstance(layer, NORMS)}
    wrong = [name for name in names if name in prunable and name.rpartition(".")[0] in norms]
    if wrong:
        raise InputError(
            f"{model.name}: prunable = {list(model.prunable)} takes in {wrong[0]}, which belongs to a normalisation; "
            f'list it in dense, or write prunable = "all" for the convolutions and linear layers'
        )
    return prunable


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@lru_cache(maxsize=4096)
def _fitted(model: Model, images: int) -> frozenset[str]:
    """Return the names of the parameters that the model changes before it multiplies with them.

    Raises InputError unless a batch of images goes in and as many rows of logits come out, in training mode.
    """
    module = model.module().train()
    logits: list[Any] = []
    try:
        found = changed(module, lambda m: logits.append(m(torch.empty(images, *model.shape, device="meta"))))
    except Exception as error:  # of the forward pass of anybody's module
        raise _unfit(model, error) from error
    if not isinstance(logits[0], torch.Tensor) or logits[0].shape != (images, model.classes):
        raise _unfit(model, ValueError(f"it does not give {model.classes} logits for each image"))
    return found


def _unfit(model: Model, error: Exception) -> InputError:
    why = next(iter(str(error).splitlines()), "") or type(error).__name__
    size, stem = "x".join(map(str, model.shape)), f" with stem {model.stem!r}" if model.stem else ""
    return InputError(f"model {model.name}{stem} cannot take images of {size}: {why}")
