"""The probe protocol, and the examples that a probe is given."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from lthbench.errors import MethodError
from lthbench.pruning.tensors import Tensors
from lthbench.training.identity import defined_at


@dataclass
class Batches:
    """The examples that were charged. Each call is one pass over them: images [B, C, H, W] and labels [B].

    Raises MethodError for more passes than `passes`. `shape` is that of one image, (C, H, W). `networks` are those of
    run.measure(networks=…), modules in evaluation mode; an example that goes through one of them counts as a pass.
    """

    draw: Callable[[], Iterator[tuple[Tensor, Tensor]]]
    shape: tuple[int, ...]
    passes: int
    networks: Mapping[str, nn.Module] = field(default_factory=dict)
    taken: int = field(default=0, init=False)

    def __call__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.taken += 1
        if self.taken > self.passes:
            raise MethodError(f"a probe with passes = {self.passes} asked for pass {self.taken} over its examples")
        return self.draw()


class Probe(Protocol):
    """A frozen dataclass with a `version` that enters keys.

    It gets a private copy of the module, which is thrown away afterwards. `passes` is the number of passes over the
    examples, and sets the charge. `mask` is boolean, by parameter name; the weights that it removes are zero in the
    module.
    """

    @property
    def passes(self) -> int: ...

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]: ...


def passes_of(probe: Probe) -> int:
    """Ask a probe once how often it goes over its examples. MethodError unless that is a whole number from 0 on."""
    passes = getattr(probe, "passes", None)
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 0:
        raise MethodError(
            f"{type(probe).__name__}.passes is {passes!r} ({defined_at(type(probe))}): write how often the probe goes over "
            "its examples, 0, 1, 2, …"
        )
    return passes


def set_mode(model: nn.Module, train: bool) -> None:
    """Set training or evaluation mode, with dropout off in either."""
    model.train(train)
    for layer in model.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.eval()


def zero_pruned(model: nn.Module, mask: Tensors) -> None:
    """Set the weights that a mask removes to zero in a module."""
    with torch.no_grad():
        for name, keep in mask.items():
            model.get_parameter(name).masked_fill_(~keep, 0.0)


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """Return the outputs for a batch. Raise MethodError for one example of which batch-norm can take no statistics."""
    try:
        logits: Tensor = model(images)
    except ValueError as error:
        if len(images) > 1 or not model.training:
            raise
        raise MethodError(
            "the last batch of the measurement has one example, but batch-norm of 1x1 maps takes its statistics of two or "
            "more; measure on another number of examples, or with train_mode=False where the probe has it"
        ) from error
    return logits
