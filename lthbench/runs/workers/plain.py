"""Operations as plain data. The process that holds test data receives these instead of pickles.

A method hands over networks, and with them lineages, models and bases. An object of the method's own class could run code
where it is unpickled. So only numbers, texts and lists are sent. Every object must have exactly the expected class: a
subclass is refused.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from lthbench.errors import MethodError
from lthbench.methods.internals.operations import Barrier, Evaluate, Judgement, Split
from lthbench.models import Model
from lthbench.pruning.bases.canonical import Canonical
from lthbench.pruning.bases.cosine import DCT2
from lthbench.pruning.bases.haar import Haar
from lthbench.pruning.bases.hadamard import Hadamard
from lthbench.pruning.bases.rotation import RandomOrthogonal
from lthbench.pruning.bases.singular import LeftSingular
from lthbench.pruning.lineage import Edit, Init, Lineage, Trained

CLASSES: dict[str, type[Any]] = {
    c.__name__: c
    for c in (
        Barrier, Evaluate, Split, Model, Edit, Init, Lineage, Trained,
        Canonical, DCT2, Haar, Hadamard, RandomOrthogonal, LeftSingular,
    )
}  # fmt: skip
PLAIN = (int, float, bool, str, type(None))


def dumped(operation: Judgement) -> bytes:
    """Write an operation as JSON. MethodError where it holds an object of another class than lthbench's own."""
    return json.dumps(_plain(operation)).encode()


def loaded(content: bytes) -> Judgement:
    """Read what `dumped` wrote. ValueError for anything else."""
    operation = _made(json.loads(content))
    if type(operation) not in (Barrier, Evaluate):
        raise ValueError("an evaluator does evaluations and nothing else")
    return operation


def _plain(thing: Any) -> Any:
    kind = type(thing)
    if kind in PLAIN:
        return thing
    if kind is tuple:
        return {"tuple": [_plain(item) for item in thing]}
    if kind in (dict, MappingProxyType) and all(type(n) is str and type(t) is Tensor for n, t in thing.items()):
        return {"tensors": base64.b64encode(save({n: t.contiguous() for n, t in thing.items()})).decode()}
    if kind in CLASSES.values():
        return {kind.__name__: {f.name: _plain(_own(thing, f.name)) for f in fields(kind)}}
    raise MethodError(
        f"a network that is evaluated holds a {kind.__module__}.{kind.__qualname__}; only lthbench's own models and bases, "
        "and plain numbers and texts, are sent to the process that holds test data"
    )


def _own(thing: Any, name: str) -> Any:
    """Read a field as it is stored, past any property of the class."""
    return object.__getattribute__(thing, name)


def _made(content: Any) -> Any:
    if type(content) in PLAIN:
        return content
    if type(content) is not dict or len(content) != 1:
        raise ValueError("this is not an operation")
    [(name, inside)] = content.items()
    if name == "tuple":
        return tuple(map(_made, inside))
    if name == "tensors":
        return load(base64.b64decode(inside))
    if name not in CLASSES:
        raise ValueError(f"there is no class {name[:40]!r} here")
    made: Callable[..., Any] = CLASSES[name]
    return made(**{key: _made(value) for key, value in inside.items()})
