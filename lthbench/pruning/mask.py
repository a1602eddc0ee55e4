"""A mask: the choice of prunable weights that remain."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Literal

import torch
from torch import Generator, Tensor

from lthbench import keys
from lthbench.errors import MethodError, ValueLooked
from lthbench.pruning.tensors import Planned, Tensors, copies, digest, is_planned


class Mask:
    """Boolean tensors by parameter name; True is kept. A mask is immutable: `tensors` returns copies.

    >>> mask = Mask({"w": torch.tensor([True, False, True, False])})
    >>> mask.removed, mask.prunable, mask.sparsity
    (2, 4, 0.5)
    """

    def __init__(self, tensors: Mapping[str, Tensor], removed: int | None = None):
        wrong = [name for name, t in tensors.items() if t.dtype != torch.bool]
        if wrong:
            raise MethodError(
                f"a mask holds boolean tensors, but {', '.join(wrong)} is not; write for example scores > 0"
            )
        self._tensors = copies(tensors)
        self._removed = removed

    @classmethod
    def planned(cls, shapes: Mapping[str, torch.Size], removed: int | None, lineage: str) -> "Mask":
        """Return a mask whose shapes and lineage are known, and perhaps its count, but not its values."""
        tensors = {n: Planned.of(shape, keys.key(lineage, n), torch.bool) for n, shape in shapes.items()}
        return cls(tensors, removed)

    @classmethod
    def full(cls, shapes: Mapping[str, torch.Size]) -> "Mask":
        """Return the mask that removes nothing."""
        return _full(tuple(shapes.items()))

    @property
    def tensors(self) -> Tensors:
        """Return private copies of the tensors, by parameter name."""
        return copies(self._tensors)

    @cached_property
    def removed(self) -> int:
        """Return the number of weights that the mask removes."""
        if self._removed is None and is_planned(self._tensors):
            raise ValueLooked("the count of a planned mask")
        return sum(map(_zeros, self._tensors.values())) if self._removed is None else self._removed

    @property
    def is_full(self) -> bool:
        """Tell whether the mask is known to remove nothing."""
        return self._removed == 0 if is_planned(self._tensors) else self.removed == 0

    @cached_property
    def prunable(self) -> int:
        """Return the number of weights that the mask covers, removed or not."""
        return sum(t.numel() for t in self._tensors.values())

    @property
    def sparsity(self) -> float:
        """Return removed / prunable."""
        return self.removed / self.prunable

    @cached_property
    def digest(self) -> str:
        """Return a key of the contents."""
        return digest(self._tensors)

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """Return (removed, size) for every prunable parameter."""
        return {name: (_zeros(t), t.numel()) for name, t in self._tensors.items()}

    def __and__(self, other: "Mask") -> "Mask":
        """Return the mask that keeps what both keep."""
        return Mask({name: t & other._tensors[name] for name, t in self._tensors.items()})

    def __or__(self, other: "Mask") -> "Mask":
        """Return the mask that keeps what either keeps."""
        return Mask({name: t | other._tensors[name] for name, t in self._tensors.items()})

    def shuffled(self, g: Generator, within: Literal["layer", "all"] = "layer") -> "Mask":
        """Return a mask with the same counts at random positions, by layer or over all layers together."""
        if within not in ("layer", "all"):
            raise MethodError(f"shuffled(within={within!r}): within is 'layer' or 'all'")
        if is_planned(self._tensors):
            state = g.get_state().numpy().tobytes()
            lineage = keys.key("shuffled", self.digest, within, state)
            torch.rand(1, generator=g)  # advances the generator, so that its next planned mask differs
            return Mask.planned({n: t.shape for n, t in self._tensors.items()}, self._removed, lineage)
        if within == "layer":
            return Mask(
                {n: t.flatten()[torch.randperm(t.numel(), generator=g)].view_as(t) for n, t in self._tensors.items()}
            )
        flat = torch.cat([t.flatten() for t in self._tensors.values()])
        flat = flat[torch.randperm(len(flat), generator=g)]
        parts = flat.split([t.numel() for t in self._tensors.values()])
        return Mask({n: part.view_as(t) for (n, t), part in zip(self._tensors.items(), parts, strict=True)})

    def distance(self, other: "Mask") -> float:
        """Return the share of prunable positions at which the two masks differ."""
        differ = sum(int((t != other._tensors[name]).count_nonzero()) for name, t in self._tensors.items())
        return differ / self.prunable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Mask({self.prunable} prunable, digest {self.digest})"


@lru_cache(maxsize=4)  # a plan asks for it once a run, of a model with millions of weights
def _full(shapes: tuple[tuple[str, torch.Size], ...]) -> Mask:
    return Mask({name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes}, removed=0)


def _zeros(kept: Tensor) -> int:
    """Return the number of False. Counting is seven times as fast as a sum, which makes integers of all elements."""
    return kept.numel() - int(kept.count_nonzero())
