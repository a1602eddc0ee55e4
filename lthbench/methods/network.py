"""An immutable handle on a network. Methods are given networks and return them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from torch import Size, Tensor, nn

from lthbench import keys
from lthbench.errors import MethodError, unknown
from lthbench.methods.facade import attach, behind
from lthbench.models import Model
from lthbench.pruning.bases import Basis
from lthbench.pruning.lineage import Edit, Lineage
from lthbench.pruning.mask import Mask
from lthbench.pruning.state import State, module_of
from lthbench.pruning.tensors import Planned, Tensors, check_tensors, copies, digest
from lthbench.pruning.units import Units
from lthbench.training.clock import Clock, Position, check_position
from lthbench.training.identity import identity
from lthbench.training.trajectory import Trajectory


class Owner(Protocol):
    """The run that a network belongs to, reduced to what a network needs."""

    def load(self, net: "Network") -> State: ...
    def clock(self) -> Clock: ...


@dataclass(frozen=True, eq=False)
class NetworkOrigin:
    """The origin of a network, for the driver: its run, its lineage, its training and its edits.

    `trajectory` is None at initialisation and after `at`. `edit_tensors` are the tensors of the edits, by digest.
    `handed_out` are the copies that the network has given to the method.
    """

    owner: Owner
    lineage: Lineage
    trajectory: Trajectory | None = None
    edit_tensors: Mapping[str, Tensors] = field(default_factory=dict)
    handed_out: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def check_unchanged(self) -> None:
        """Raise MethodError if a tensor that was handed out was changed in place. Such a change affects no network."""
        for part, tensors in self.handed_out.items():
            for name, t in tensors.items():
                if not isinstance(t, Planned) and t._version:
                    raise MethodError(
                        f"net.{part}[{name!r}] was changed in place, which does not change the network; "
                        f"write net.with_weights({{{name!r}: …}}), or clone() a tensor before you compute in it"
                    )


def origin_of(net: "Network") -> NetworkOrigin:
    """Return the origin of a network. Not for methods."""
    origin: NetworkOrigin = behind(net)
    return origin


class Network:
    """Weights, buffers and a mask at a position of a training. Every method returns a new Network.

    Tensors are loaded on access and returned as private copies: writing to a copy changes nothing else.
    """

    def __init__(self, origin: NetworkOrigin, mask: Mask | None, position: Position = 0):
        attach(self, origin)
        self._mask, self._position = mask, position
        self._state: State | None = None

    @property
    def key(self) -> str:
        """Return a key of the tensors. Equal keys mean equal tensors."""
        return origin_of(self).lineage.key

    @property
    def model(self) -> Model:
        return origin_of(self).lineage.model

    @property
    def basis(self) -> Basis | None:
        """Return the basis in which the prunable parameters are coefficients. None if they are weights."""
        return origin_of(self).lineage.basis

    @property
    def step(self) -> int:
        """Return the position in its training, in optimizer steps."""
        return self._clock.step(self._position)

    @property
    def epoch(self) -> float:
        """Return the position in its training, in epochs."""
        return self.step / self._clock.steps_per_epoch

    @property
    def position(self) -> Position:
        """Return the position in the unit in which it was given: in epochs or in Steps."""
        return self._position

    @property
    def params(self) -> Tensors:
        """Return all parameters, by name."""
        return self._hand("params", lambda state: state.params)

    @property
    def prunable(self) -> Tensors:
        """Return the parameters that pruning may remove weights from, by name."""
        return self._hand("prunable", lambda state: {name: state.params[name] for name in self.model.prunable_shapes})

    @property
    def buffers(self) -> Tensors:
        """Return the buffers (running statistics), by name."""
        return self._hand("buffers", lambda state: state.buffers)

    @property
    def state(self) -> Tensors:
        """Return the tensors that the rule of the last training left."""
        return self._hand("state", lambda state: state.rule)

    @property
    def mask(self) -> Mask:
        """Return the mask of the prunable weights that remain."""
        if self._mask is None:
            self._mask = Mask(self._load().mask)
        return self._mask

    @property
    def units(self) -> Units:
        """Return the channels and neurons, by layer. They follow from the model alone."""
        return Units.of(self.model)

    def masked(self, mask: Mask) -> "Network":
        """Return the network without the weights that `mask` removes.

        Masks intersect; remaining weights keep their momentum.
        """
        self._check(mask)
        both = mask if self.mask.is_full else self.mask & mask
        return self if both == self.mask else self._edited(Edit("masked", both.digest), both.tensors, both)

    def with_mask(self, mask: Mask) -> "Network":
        """Return the network with this mask in place of its own.

        Weights that come back are zero; the momentum is cleared.
        """
        self._check(mask)
        return self._edited(Edit("with_mask", mask.digest), mask.tensors, mask)

    def with_weights(self, tensors: Tensors) -> "Network":
        """Return the network with other values for the named parameters and buffers.

        The mask stays; the momentum is cleared.
        """
        check_tensors("with_weights: the value of", tensors)
        known = {name: t.shape for name, t in {**self.params, **self.buffers}.items()}
        _same_shapes("with_weights", {name: t.shape for name, t in tensors.items()}, known)
        own = copies(tensors)
        return self._edited(Edit("with_weights", digest(own)), own, self._mask)

    def at(self, position: Position) -> "Network":
        """Return the same tensors at another position of the schedule (an epoch, or Steps(n)). The momentum is cleared."""
        origin = origin_of(self)
        origin.check_unchanged()
        check_position("at", position)
        return Network(NetworkOrigin(origin.owner, origin.lineage, None, origin.edit_tensors), self._mask, position)

    def in_basis(self, basis: Basis | None) -> "Network":
        """Return the same function with coefficients of a basis as prunable parameters. None goes back to weights.

        From then on, masks act on the coefficients and training updates them. All coefficients are present: weights
        removed in the previous basis are not removed in this one. The momentum is cleared.
        """
        if _name(basis) == _name(self.basis):
            return self
        full = Mask.full(self.model.prunable_shapes)
        return self._edited(Edit("in_basis", keys.key("basis", _name(basis)), basis), {}, full)

    def module(self) -> nn.Module:
        """Return a private nn.Module in eval mode, on the CPU."""
        return module_of(self.model, self._load()).eval()

    @property
    def _clock(self) -> Clock:
        origin = origin_of(self)
        return origin.trajectory.clock if origin.trajectory else origin.owner.clock()

    def _edited(self, edit: Edit, tensors: Tensors, mask: Mask | None) -> "Network":
        origin = origin_of(self)
        origin.check_unchanged()
        tensors_of = {**origin.edit_tensors, edit.digest: tensors}
        edited = NetworkOrigin(origin.owner, origin.lineage.edited(edit), origin.trajectory, tensors_of)
        return Network(edited, mask, self._position)

    def _check(self, mask: Mask) -> None:
        shapes = {name: t.shape for name, t in mask.tensors.items()}
        missing = self.model.prunable_shapes.keys() - shapes.keys()
        if missing:
            raise MethodError(f"the mask lacks {', '.join(sorted(missing))}; a mask names every prunable parameter")
        _same_shapes("mask", shapes, self.model.prunable_shapes)

    def _load(self) -> State:
        if self._state is None:
            self._state = origin_of(self).owner.load(self)
        return self._state

    def _hand(self, part: str, select: Any) -> Tensors:
        origin = origin_of(self)
        origin.check_unchanged()
        if part not in origin.handed_out:
            origin.handed_out[part] = copies(select(self._load()))
        return MappingProxyType(origin.handed_out[part])

    def __repr__(self) -> str:
        return f"Network({self.model.name}, epoch {self.epoch:g}, key {self.key})"


def _name(basis: Basis | None) -> dict[str, Any] | None:
    return None if basis is None else identity(basis)


def _same_shapes(what: str, given: Mapping[str, Size], known: Mapping[str, Size]) -> None:
    for name, shape in given.items():
        if name not in known:
            raise MethodError(f"{what}: " + unknown("parameter", name, known))
        if shape != known[name]:
            raise MethodError(f"{what}: {name} has shape {list(known[name])}, not {list(shape)}")
