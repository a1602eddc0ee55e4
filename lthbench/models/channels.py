"""The weights of each channel or neuron: the filter that makes it, its normalisation, and the weights that read it.

They are found in one forward pass on shapes, in which every tensor carries the layer that made its channels. A function
that is not listed here (a sum of two branches, a concatenation, attention) ties the channels of its inputs to others: they
cannot be removed alone, so they are not units. Neither are the outputs of the network.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from lthbench.models.model import Model


@dataclass(frozen=True)
class Slice:
    """A dimension of a parameter, of which channel i holds the indices i·repeat … (i + 1)·repeat − 1."""

    name: str
    dim: int
    repeat: int = 1

    @property
    def bias(self) -> str:
        """The name of the bias of a linear layer with this weight."""
        return self.name.removesuffix("weight") + "bias"


@dataclass(frozen=True)
class Channels:
    """The output channels (or neurons) of one layer, by the layer's name.

    `own` are the weights that make them, `read` the weights of the next layers that read them. `vectors` are the tensors
    with one number for each channel, as (kind, name): gamma, beta, mean and variance of a batch-norm, and biases.
    """

    name: str
    size: int
    own: tuple[Slice, ...]
    read: tuple[Slice, ...] = ()
    vectors: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=256)
def channels(model: Model) -> tuple[Channels, ...]:
    """Return the channels of a model that can be removed one by one, in the order of its layers.

    A prunable layer makes them, and every layer that reads them is prunable too, or is linear with a bias: a removed
    channel still has a constant value, which can be added to that bias.
    """
    module = model.module().eval()
    names = {id(t): name for name, t in (*module.named_parameters(), *module.named_buffers())}
    trace = _Trace(names)
    with torch.no_grad(), trace:
        trace.tie(module(torch.empty(1, *model.shape, device="meta")))
    prunable = model.prunable_shapes
    shapes = model.shapes

    def may_go(made: "_Made") -> bool:
        readers = [s.name in prunable or (len(shapes[s.name]) == 2 and s.bias in shapes) for s in made.read]
        once = all(trace.uses[s.name] == 1 for s in (*made.own, *made.read)) and all(name for _, name in made.vectors)
        return not made.tied and once and bool(readers) and all(readers) and all(s.name in prunable for s in made.own)

    return tuple(made.frozen() for made in trace.made if may_go(made))


@dataclass
class _Made:
    """Channels during the trace. `tied`: another part of the network depends on them in a way that is not understood."""

    name: str
    size: int
    own: list[Slice]
    read: list[Slice] = field(default_factory=list)
    vectors: list[tuple[str, str]] = field(default_factory=list)
    tied: bool = False

    def frozen(self) -> Channels:
        return Channels(self.name, self.size, tuple(self.own), tuple(self.read), tuple(self.vectors))


@dataclass(frozen=True)
class _Label:
    """A mark on a tensor: dimension `dim` holds the channels `made`, `repeat` entries each."""

    made: _Made
    dim: int
    repeat: int = 1


class _Trace(TorchFunctionMode):
    def __init__(self, names: Mapping[int, str]):
        super().__init__()
        self.names, self.made, self.uses = names, list[_Made](), Counter[str]()
        self._labels: dict[int, _Label] = {}
        self._alive: list[Any] = []  # so that no id is used twice

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = [label for label in map(self._label, tree_leaves((args, kwargs))) if label]
        out = func(*args, **kwargs)
        if isinstance(out, Tensor | tuple | list) and any(isinstance(t, Tensor) for t in tree_leaves(out)):
            self._alive.append(out)
            known = _KNOWN.get(getattr(func, "__name__", "").strip("_"))
            label = known(self, before, out, args, kwargs) if known and isinstance(out, Tensor) else None
            if label:
                self._labels[id(out)] = label
            else:
                self._labels.pop(id(out), None)
                _tie(before)
        return out

    def tie(self, tensors: Any) -> None:
        """Note that the channels in these tensors cannot be removed alone."""
        _tie(label for label in map(self._label, tree_leaves(tensors)) if label)

    def _label(self, value: Any) -> _Label | None:
        return self._labels.get(id(value)) if isinstance(value, Tensor) else None

    def name(self, tensor: Tensor | None) -> str:
        """Return the name of a parameter or buffer; '' for another tensor."""
        return self.names.get(id(tensor), "") if tensor is not None else ""

    def convolution(self, before: list[_Label], out: Tensor, args: Any, kwargs: Any) -> _Label | None:
        given = _named(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), args, kwargs)
        weight, groups = given["weight"], given.get("groups", 1)
        return self._layer(before, out, weight, given.get("bias"), 1, groups)

    def linear(self, before: list[_Label], out: Tensor, args: Any, kwargs: Any) -> _Label | None:
        given = _named(("input", "weight", "bias"), args, kwargs)
        return self._layer(before, out, given["weight"], given.get("bias"), out.dim() - 1, 1)

    def _layer(
        self, before: list[_Label], out: Tensor, weight: Tensor, bias: Tensor | None, dim: int, groups: int
    ) -> _Label | None:
        name = self.name(weight)
        self.uses[name] += 1
        if not name or (groups > 1 and not self._depthwise(before, weight, groups)):
            return None
        vectors = [("bias", self.name(bias))] if bias is not None else []
        if groups > 1:
            made = before[0].made
            made.own.append(Slice(name, 0))
            made.vectors += vectors
            return before[0]
        for label in before:
            label.made.read.append(Slice(name, 1, label.repeat))
            label.made.tied |= label.dim != dim
        self.made.append(_Made(name.removesuffix(".weight"), len(weight), [Slice(name, 0)], [], vectors))
        return _Label(self.made[-1], dim)

    def _depthwise(self, before: list[_Label], weight: Tensor, groups: int) -> bool:
        return len(before) == 1 and before[0].repeat == 1 and weight.shape[1] == 1 and len(weight) == groups

    def batch_norm(self, before: list[_Label], out: Tensor, args: Any, kwargs: Any) -> _Label | None:
        kinds = ("input", "mean", "var", "gamma", "beta")
        given = _named(kinds, args, {_KINDS.get(name, name): t for name, t in kwargs.items()})
        if len(before) != 1 or before[0].repeat != 1 or before[0].dim != 1:
            return None
        before[0].made.vectors += [(kind, self.name(given[kind])) for kind in kinds[1:] if given.get(kind) is not None]
        return before[0]

    def elementwise(self, before: list[_Label], out: Tensor, args: Any, kwargs: Any) -> _Label | None:
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        return before[0] if len(tensors) == len(before) == 1 else None

    def pooled(self, before: list[_Label], out: Tensor, args: Any, kwargs: Any) -> _Label | None:
        fits = len(before) == 1 and before[0].dim == 1 and args[0].dim() == out.dim() >= 3
        return before[0] if fits else None

    def averaged(self, before: list[_Label], out: Tensor, args: Any, kwargs: Any) -> _Label | None:
        if not before or (len(args) < 2 and "dim" not in kwargs):
            return None
        dims = args[1] if len(args) > 1 else kwargs["dim"]
        over = {d % args[0].dim() for d in ([dims] if isinstance(dims, int) else dims)}
        return before[0] if min(over) > before[0].dim else None

    def flattened(self, before: list[_Label], out: Tensor, args: Any, kwargs: Any) -> _Label | None:
        """Follow [N, C, …] → [N, C·…], as flatten, view or reshape do."""
        if len(before) != 1 or before[0].dim != 1 or out.dim() != 2 or len(out) != len(args[0]):
            return None
        return _Label(before[0].made, 1, out.shape[1] // before[0].made.size)


_KINDS = {"running_mean": "mean", "running_var": "var", "weight": "gamma", "bias": "beta"}


def _tie(labels: Iterable[_Label]) -> None:
    for label in labels:
        label.made.tied = True


def _named(names: tuple[str, ...], args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return dict(zip(names, args, strict=False)) | dict(kwargs)


_ELEMENTWISE = """relu relu6 leaky_relu elu selu celu gelu silu mish softplus hardtanh clamp hardswish hardsigmoid sigmoid
tanh dropout dropout1d dropout2d dropout3d contiguous"""
_POOLS = ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool")

_KNOWN: dict[str, Callable[..., _Label | None]] = {
    **{f"conv{rank}d": _Trace.convolution for rank in (1, 2, 3)},
    "linear": _Trace.linear,
    "batch_norm": _Trace.batch_norm,
    "mean": _Trace.averaged,
    **dict.fromkeys(("flatten", "view", "reshape"), _Trace.flattened),
    **dict.fromkeys(_ELEMENTWISE.split(), _Trace.elementwise),
    **{f"{kind}{rank}d": _Trace.pooled for kind in _POOLS for rank in (1, 2, 3)},
}
