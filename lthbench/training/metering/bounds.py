"""Bounds on the data that a rule or a probe brings into a worker, and on the results that a probe returns.

Images and labels stay in the worker. The size of a probe's result is bounded by the network and does not grow with the
number of examples. So a method receives statistics only, and all code that looks at examples is metered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from lthbench.errors import MethodError
from lthbench.models import Model
from lthbench.models.cost import multiplications
from lthbench.pruning.tensors import check_tensors

PER_PARAMETER = 16  # numbers that a probe may return for each parameter, such as a block-diagonal matrix
PER_UNIT = 1024  # numbers that it may return for each output of a layer
FIELDS = 4  # numbers for each parameter that the fields of a rule or a probe may hold
SPARE = 10_000  # additional numbers
WORK = 4  # passes that a measurement may compute for each charged pass
FREE = 2000  # single images that it may also send forward
OWN = 0.5  # share of its trainings that a method's own code may compute
FEW = 8  # images, below which none is looked for
ALIKE = 0.99  # least correlation with an image at which a tensor counts as that image


def check_fields(thing: Any, model: Model) -> None:
    """Raise MethodError where the fields of a rule or a probe hold more than the network. They must not carry data."""
    held, most = sum(_numbers(thing)), FIELDS * _parameters(model) + SPARE
    if held > most:
        raise MethodError(
            f"the fields of {type(thing).__name__} hold {held} numbers; {most} are allowed with a network of "
            f"{_parameters(model)} parameters: a rule or a probe holds settings, not data"
        )


def check_found(name: str, found: Any, model: Model, images: Tensor, examples: int) -> dict[str, Tensor]:
    """Return the result of a probe. MethodError where its size is not bounded by the network, or it holds examples.

    `images` [B, C, H, W] are some of the images that the probe saw. `examples` is the number that it saw.
    """
    if not isinstance(found, Mapping):
        raise MethodError(f"{name} returned a {type(found).__name__}; a probe returns tensors by name")
    check_tensors(f"{name}: its result", found)
    size = sum(t.numel() for t in found.values())
    most = PER_PARAMETER * _parameters(model) + PER_UNIT * _width(model)
    if size > most:
        raise MethodError(
            f"{name} returned {size} numbers; {most} are allowed with this network: return statistics of it"
        )
    for key, t in found.items():
        if _grows(t, model, examples):
            raise MethodError(
                f"{name}: {key!r} has one row for each of {examples} examples; examples stay in the worker"
            )
        if _shows(t, images):
            raise MethodError(f"{name}: {key!r} holds the images that it saw; examples stay in the worker")
    return dict(found)


def check_work(name: str, flops: int, examples: int, model: Model) -> None:
    """Raise MethodError where a measurement, or a rule, computed far more than the passes that it was charged for.

    One pass is a forward and a backward pass, and costs three forward passes. A measurement may compute WORK of them for
    each charged pass, which allows second derivatives. It may also send FREE single images forward, for scores that use no
    example.
    """
    forward = 2 * multiplications(model, {})[1]
    most = forward * (3 * WORK * examples + FREE)
    if flops > most:
        raise MethodError(
            f"{name} computed {flops:.3g} floating-point operations in matrix products and convolutions; {most:.3g} are "
            f"allowed for the {examples} examples that were charged: raise passes, or train with run.train"
        )


def check_own_work(flops: int, trained: int, model: Model) -> None:
    """Raise MethodError where a method's own code computed more than a share OWN of its trainings.

    `trained`: examples charged for training. Statistics of a network are cheap; training is not.
    """
    forward = 2 * multiplications(model, {})[1]
    most = OWN * forward * (3 * trained + FREE)
    if flops > most:
        raise MethodError(
            f"the method's own code computed {flops:.3g} floating-point operations in matrix products and convolutions; "
            f"{most:.3g} are allowed beside its trainings: measure with a probe, train with run.train"
        )


def _numbers(value: Any) -> Iterator[int]:
    """Count the numbers and characters in a field, fields of fields included."""
    if isinstance(value, Tensor):
        yield value.numel()
    elif is_dataclass(value) and not isinstance(value, type):
        yield from (n for f in fields(value) for n in _numbers(getattr(value, f.name)))
    elif isinstance(value, Mapping):
        yield from (n for pair in value.items() for item in pair for n in _numbers(item))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (n for item in value for n in _numbers(item))
    else:
        yield len(value) if isinstance(value, str | bytes) else 1


def _parameters(model: Model) -> int:
    return sum(shape.numel() for shape in model.shapes.values())


def _width(model: Model) -> int:
    return sum(shape[0] for shape in model.shapes.values() if shape)


def _grows(t: Tensor, model: Model, examples: int) -> bool:
    """Say whether a dimension of a tensor is the number of examples, and not a dimension of the network."""
    known = {side for shape in model.shapes.values() for side in shape} | {model.classes, *model.shape}
    return examples > 1 and examples not in known and examples in t.shape


def _shows(t: Tensor, images: Tensor) -> bool:
    """Whether half of the images, or more, are pieces of a tensor that is cut up image by image, but for scale and offset.

    A few are no sign: the gradient of a neuron that answers to one example alone is a multiple of that example.
    """
    pixels = images.flatten(1).float().cpu()
    flat = t.detach().flatten().float().cpu()
    count = len(flat) // pixels.shape[1] if pixels.shape[1] > 16 else 0
    if not count or len(pixels) < FEW:
        return False
    pieces = flat[: count * pixels.shape[1]].view(count, -1)
    found = (_standard(pieces) @ _standard(pixels).T).abs().gt(ALIKE).any(0)
    return bool(found.float().mean() >= 0.5)


def _standard(rows: Tensor) -> Tensor:
    """Return the rows with mean 0 and length 1. A constant row becomes 0."""
    centred = rows.nan_to_num(0.0, 0.0, 0.0) - rows.nan_to_num(0.0, 0.0, 0.0).mean(1, keepdim=True)
    return torch.nn.functional.normalize(centred, dim=1)
