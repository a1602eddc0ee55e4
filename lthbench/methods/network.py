"""An immutable handle on a network: what a method is given, and what it returns."""

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
from lthbench.pruning.tensors import Planned, Tensors, copies, digest
from lthbench.pruning.units import Units
from lthbench.training.clock import Clock, Position, check_position
from lthbench.training.identity import identity
from lthbench.training.trajectory import Trajectory


class Owner(Protocol):
    """The run that a network belongs to, as far as a network needs it."""

    def load(self, net: "Network") -> State: ...
    def clock(self, model: Model) -> Clock: ...


@dataclass(frozen=True, eq=False)
class NetworkOrigin:
    """How a network came to be, for the driver: its run, its lineage, the training in which it stands, its edits.

    `trajectory` is None at initialisation and after `at`. `edit_tensors` are the tensors of the edits, by digest.
    `handed_out` are the copies that the network has given to the method.
    """

    owner: Owner
    lineage: Lineage
    trajectory: Trajectory | None = None
    edit_tensors: Mapping[str, Tensors] = field(default_factory=dict)
    handed_out: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def check_unchanged(self) -> None:
        """Raise MethodError if a tensor that was handed out was changed in place, which changes no network."""
        for part, tensors in self.handed_out.items():
            for name, t in tensors.items():
                if not isinstance(t, Planned) and t._version:
                    raise MethodError(
                        f"net.{part}[{name!r}] was changed in place, which changes no network; "
                        f"write net.with_weights({{{name!r}: …}}), or clone() a tensor before you compute in it"
                    )


def origin_of(net: "Network") -> NetworkOrigin:
    """Return how a network came to be. Not for methods."""
    origin: NetworkOrigin = behind(net)
    return origin


class Network:
    """Weights, buffers and a mask at a position of a training. Every method returns a new Network.

    Tensors are loaded when they are looked at, and handed out as private copies: writing to one changes nothing else.
    """

    def __init__(self, origin: NetworkOrigin, mask: Mask | None, position: Position = 0):
        attach(self, origin)
        self._mask, self._position = mask, position
        self._state: State | None = None

    @property
    def key(self) -> str:
        """Equal keys are equal tensors."""
        return origin_of(self).lineage.key

    @property
    def model(self) -> Model:
        return origin_of(self).lineage.model

    @property
    def basis(self) -> Basis | None:
        """The basis whose coefficients the prunable parameters are; None where they are weights."""
        return origin_of(self).lineage.basis

    @property
    def step(self) -> int:
        """Where it stands in its training, in optimizer steps."""
        return self._clock.step(self._position)

    @property
    def epoch(self) -> float:
        """Where it stands in its training, in epochs."""
        return self.step / self._clock.steps_per_epoch

    @property
    def position(self) -> Position:
        """Where it stands, as it was said: in epochs or in Steps."""
        return self._position

    @property
    def params(self) -> Tensors:
        """All parameters, by name."""
        return self._hand("params", lambda state: state.params)

    @property
    def prunable(self) -> Tensors:
        """The parameters that pruning may touch, by name."""
        return self._hand("prunable", lambda state: {name: state.params[name] for name in self.model.prunable_shapes})

    @property
    def buffers(self) -> Tensors:
        """Buffers (running statistics), by name."""
        return self._hand("buffers", lambda state: state.buffers)

    @property
    def state(self) -> Tensors:
        """What the rule of the last training left."""
        return self._hand("state", lambda state: state.rule)

    @property
    def mask(self) -> Mask:
        """Which prunable weights remain."""
        if self._mask is None:
            self._mask = Mask(self._load().mask)
        return self._mask

    @property
    def units(self) -> Units:
        """Its channels and neurons, by layer. They follow from the model alone."""
        return Units.of(self.model)

    def masked(self, mask: Mask) -> "Network":
        """Without what `mask` removes: masks intersect, the momentum of what remains is kept."""
        self._check(mask)
        both = mask if self.mask.is_full else self.mask & mask
        return self if both == self.mask else self._edited(Edit("masked", both.digest), both.tensors, both)

    def with_mask(self, mask: Mask) -> "Network":
        """With this mask in place of its own: what comes back is zero, the momentum is cleared."""
        self._check(mask)
        return self._edited(Edit("with_mask", mask.digest), mask.tensors, mask)

    def with_weights(self, tensors: Tensors) -> "Network":
        """With other values for the named parameters and buffers; the mask stays, the momentum is cleared."""
        known = {name: t.shape for name, t in {**self.params, **self.buffers}.items()}
        _same_shapes("with_weights", {name: t.shape for name, t in tensors.items()}, known)
        own = copies(tensors)
        return self._edited(Edit("with_weights", digest(own)), own, self._mask)

    def at(self, position: Position) -> "Network":
        """The same tensors at another position of the schedule (an epoch, or Steps(n)); the momentum is cleared."""
        origin = origin_of(self)
        origin.check_unchanged()
        check_position("at", position)
        return Network(NetworkOrigin(origin.owner, origin.lineage, None, origin.edit_tensors), self._mask, position)

    def in_basis(self, basis: Basis | None) -> "Network":
        """The same function with the coefficients of a basis as its prunable parameters; None for weights again.

        Masks act on the coefficients from then on and training moves them. All coefficients are there: what was removed in
        the basis before is not removed in this one. The momentum is cleared.
        """
        if _name(basis) == _name(self.basis):
            return self
        full = Mask.full(self.model.prunable_shapes)
        return self._edited(Edit("in_basis", keys.key("basis", _name(basis)), basis), {}, full)

    def module(self) -> nn.Module:
        """A private nn.Module in eval mode, on the CPU."""
        return module_of(self.model, self._load()).eval()

    @property
    def _clock(self) -> Clock:
        origin = origin_of(self)
        return origin.trajectory.clock if origin.trajectory else origin.owner.clock(self.model)

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
            raise MethodError(
                f"the mask says nothing of {', '.join(sorted(missing))}; a mask names every prunable parameter"
            )
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
