"""What a probe is, and the examples that it is given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from lthbench.errors import MethodError
from lthbench.pruning.tensors import Tensors


@dataclass
class Batches:
    """The examples that were paid for. One call is one pass over them: images [B, C, H, W] and labels [B].

    Raises MethodError for more `passes` than were paid for. `shape`: of one image (C, H, W).
    """

    draw: Callable[[], Iterator[tuple[Tensor, Tensor]]]
    shape: tuple[int, ...]
    passes: int
    taken: int = field(default=0, init=False)

    def __call__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.taken += 1
        if self.taken > self.passes:
            raise MethodError(f"a probe with passes = {self.passes} asked for pass {self.taken} over its examples")
        return self.draw()


class Probe(Protocol):
    """A frozen dataclass, with a `version` that enters keys. It is given a private module; what it leaves there is lost.

    `passes`: how often it goes over the examples, which is what it is charged. `mask` is boolean, by parameter name; what
    it removes is zero in the module.
    """

    @property
    def passes(self) -> int: ...

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]: ...


def passes_of(probe: Probe) -> int:
    """Ask a probe once how often it goes over its examples. MethodError unless that is a whole number from 0 on."""
    passes = getattr(probe, "passes", None)
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 0:
        raise MethodError(
            f"{type(probe).__name__}.passes is {passes!r}: write how often the probe goes over its examples, 0, 1, 2, …"
        )
    return passes


def set_mode(model: nn.Module, train: bool) -> None:
    """Training or evaluation mode, with dropout off in either."""
    model.train(train)
    for layer in model.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.eval()


def zero_pruned(model: nn.Module, mask: Tensors) -> None:
    """Zero in a module what a mask removes."""
    with torch.no_grad():
        for name, keep in mask.items():
            model.get_parameter(name).masked_fill_(~keep, 0.0)
