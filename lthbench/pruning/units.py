"""Units: groups of weights that are removed together, such as a channel, a neuron, or a row of a matrix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Size, Tensor

from lthbench.errors import MethodError, unknown
from lthbench.models import Model
from lthbench.models.channels import Channels, Slice, channels
from lthbench.pruning.mask import Mask
from lthbench.pruning.tensors import Tensors


@dataclass(frozen=True)
class Units:
    """Groups of units.

    Each group has the channels or neurons of one layer, and its name: `hidden.0`, `stages.0.1.conv1`. A unit consists
    of the weights that compute it (its filter, and the depthwise filter that follows) and the weights by which the next
    layers read it. Removing it masks both, so that the network computes the same as one without the unit.
    """

    groups: tuple[Channels, ...]

    @classmethod
    def of(cls, model: Model) -> "Units":
        """Return the channels and neurons of a model that can be removed one by one.

        Channels that are added to a shortcut and the classifier's outputs cannot.
        """
        return cls(channels(model))

    @classmethod
    def rows(cls, shapes: Mapping[str, Size]) -> "Units":
        """Return the rows of matrices as units, one group for each parameter [outputs, …], by its name."""
        return cls(tuple(Channels(name, shape[0], (Slice(name, 0),)) for name, shape in shapes.items()))

    @property
    def sizes(self) -> dict[str, int]:
        """Return the number of units in each group."""
        return {group.name: group.size for group in self.groups}

    def sum(self, squares: Tensors, *, read: bool = False) -> Tensors:
        """Sum over the weights that compute each unit, and with `read` also over those that read it: [units] by group.

        `squares` is any tensor by parameter name: squares give squared L2 norms, absolute values give L1 norms.
        """
        found = {}
        for group in self.groups:
            parts = (*group.own, *group.read) if read else group.own
            found[group.name] = torch.stack([_by_unit(squares[s.name], s) for s in parts if s.name in squares]).sum(0)
        return found

    def param(self, kind: Literal["gamma", "beta", "bias"], of: Tensors) -> Tensors:
        """Return the batch-norm scale or shift, or the bias, of every unit: [units] by group, for the groups that have
        one.

        Where two batch-norms follow (depthwise), the last one counts. Raises MethodError if no group has one.
        """
        names = {group.name: dict(group.vectors)[kind] for group in self.groups if kind in dict(group.vectors)}
        if not names:
            raise MethodError(f"no unit of this network has a {kind}; units: {', '.join(self.sizes) or 'none'}")
        return {group: of[name] for group, name in names.items()}

    def mask(self, gone: Tensors, shapes: Mapping[str, Size]) -> dict[str, Tensor]:
        """Return the mask, of parameters of these shapes, that removes the units marked in `gone`: boolean, [units] by
        group."""
        keep = {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
        for group in self.groups:
            for s in (*group.own, *group.read):
                if s.name in keep and group.name in gone:
                    keep[s.name] &= _along(~gone[group.name], s, shapes[s.name])
        return keep

    def spread(self, factors: Tensors, over: Tensors) -> dict[str, Tensor]:
        """Multiply the weights that compute a unit by its factor ([units] by group). Returns tensors by parameter name."""
        found = dict(over)
        for group in self.groups:
            for s in group.own:
                if s.name in found and group.name in factors:
                    found[s.name] = found[s.name] * _along(factors[group.name], s, found[s.name].shape)
        return found

    def gone(self, mask: Tensors) -> dict[str, Tensor]:
        """Mark the units that a mask removes whole: boolean, [units] by group."""
        return {
            group.name: torch.stack(
                [_by_unit(mask[s.name].float(), s) == 0 for s in (*group.own, *group.read) if s.name in mask]
            ).all(0)
            for group in self.groups
        }

    def distance(self, one: Mask, other: Mask) -> float:
        """Return the share of units that one mask removes whole and the other does not."""
        pairs = zip(self.gone(one.tensors).values(), self.gone(other.tensors).values(), strict=True)
        return sum(int((a != b).sum()) for a, b in pairs) / sum(self.sizes.values())

    def without(self, gone: Mapping[str, int], shapes: Mapping[str, Size]) -> dict[str, Size]:
        """Return the shapes of parameters and buffers after removing `gone[group]` units of each group."""
        left = {name: list(shape) for name, shape in shapes.items()}
        for group in self.groups:
            vectors = [Slice(name, 0) for _, name in group.vectors]
            for s in (*group.own, *group.read, *vectors):
                if s.name in left:
                    left[s.name][s.dim] -= s.repeat * gone.get(group.name, 0)
        return {name: Size(shape) for name, shape in left.items()}

    def removed(self, gone: Mapping[str, int], shapes: Mapping[str, Size]) -> int:
        """Count the entries of these shapes that are removed with `gone[group]` units of each group."""
        return sum(shapes[name].numel() - left.numel() for name, left in self.without(gone, shapes).items())

    def check(self, scores: Tensors) -> None:
        """Raise MethodError unless every score belongs to a group, has one number for each unit, and is not NaN."""
        for name, score in scores.items():
            if name not in self.sizes:
                raise MethodError("select(units=…): " + unknown("group of units", name, self.sizes))
            if score.shape != (self.sizes[name],):
                raise MethodError(
                    f"select(units=…): {name} has {self.sizes[name]} units, but the scores are {list(score.shape)}"
                )


def _by_unit(tensor: Tensor, s: Slice) -> Tensor:
    """Sum over every dimension but that of the units: [units]."""
    return tensor.movedim(s.dim, 0).reshape(tensor.shape[s.dim] // s.repeat, -1).sum(1)


def _along(units: Tensor, s: Slice, shape: Size) -> Tensor:
    """Reshape [units] to a tensor that broadcasts against a parameter of this shape."""
    return units.repeat_interleave(s.repeat).view([-1 if d == s.dim else 1 for d in range(len(shape))])
