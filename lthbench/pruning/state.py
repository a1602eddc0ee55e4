"""The tensors of a network at one moment, and the effect of edits on them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lthbench.models import Model, initial_tensors
from lthbench.pruning.bases import Basis
from lthbench.pruning.lineage import Edit, Init
from lthbench.pruning.tensors import Tensors, mapped

Slots = Mapping[str, Mapping[str, Tensor]]
"""The state of an optimizer: by slot, such as momentum, a tensor for each parameter by its name."""


@dataclass(frozen=True)
class State:
    """Parameters, buffers and the mask by name, the optimizer's state if training can continue, and the tensors that a
    rule keeps.

    `raw` is the state before the rule's `finish`, from which the same training continues. With a `basis`, the prunable
    parameters, the mask and the optimizer's state are those of its coefficients.
    """

    params: dict[str, Tensor]
    buffers: dict[str, Tensor]
    mask: dict[str, Tensor]
    slots: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    rule: dict[str, Tensor] = field(default_factory=dict)
    raw: "State | None" = None
    basis: Basis | None = None

    @property
    def weights(self) -> dict[str, Tensor]:
        """Return the parameters that a forward pass uses, with weights in place of coefficients."""
        return in_weights(self.basis, self.params, self.mask)

    @property
    def weight_mask(self) -> dict[str, Tensor]:
        """Return the prunable weights that exist: the mask, or in a basis, where the mask covers coefficients, the
        nonzero weights."""
        weights = self.weights
        return self.mask if self.basis is None else {name: weights[name] != 0 for name in self.mask}

    @property
    def finite(self) -> bool:
        """Tell whether no parameter and no buffer contains NaN or infinity."""
        return all(bool(t.isfinite().all()) for t in (*self.params.values(), *self.buffers.values()))


def initial_state(init: Init, start: Tensors = MappingProxyType({})) -> State:
    """Return the state of an initialisation, with nothing removed. Tensors of its `start` replace those of their names."""
    model = init.model
    tensors = initial_tensors(model, init.scheme, init.seed, init.stream) | dict(start)
    mask = {name: torch.ones(shape, dtype=torch.bool) for name, shape in model.prunable_shapes.items()}
    params = {name: tensors[name] for name in model.shapes}
    return State(params, {name: t for name, t in tensors.items() if name not in params}, mask)


def in_weights(basis: Basis | None, params: Tensors, prunable: Iterable[str]) -> dict[str, Tensor]:
    """Return the parameters as weights, where those named `prunable` are coefficients in a basis."""
    if basis is None:
        return dict(params)
    return dict(params) | {name: basis.forward(name, params[name]) for name in prunable}


def edited(state: State, edits: Iterable[Edit], tensors: Callable[[str], Tensors]) -> State:
    """Return the state after the edits, whose tensors are looked up by digest. The given state is unchanged."""
    for edit in edits:
        moved = edit.kind == "in_basis"
        state = _in_basis(state, edit.basis) if moved else _EDITS[edit.kind](state, tensors(edit.digest))
    return state


def _masked(state: State, mask: Tensors) -> State:
    both = {name: kept & mask[name] for name, kept in state.mask.items()}
    slots = {slot: _zeroed(tensors, both) for slot, tensors in state.slots.items()}
    return replace(state, params=_zeroed(state.params, both), mask=both, slots=slots, raw=None)


def _with_mask(state: State, mask: Tensors) -> State:
    return replace(state, params=_zeroed(state.params, mask), mask=dict(mask), slots={}, raw=None)


def _with_weights(state: State, tensors: Tensors) -> State:
    params = {name: tensors.get(name, t) for name, t in state.params.items()}
    buffers = {name: tensors.get(name, t) for name, t in state.buffers.items()}
    return replace(state, params=_zeroed(params, state.mask), buffers=buffers, slots={}, raw=None)


def _in_basis(state: State, basis: Basis | None) -> State:
    """Return the same function in another basis, with all coefficients present. Computed in float64."""
    weights = in_weights(state.basis, mapped(Tensor.double, state.params), state.mask)
    if basis is not None:
        weights |= {name: basis.inverse(name, weights[name]) for name in state.mask}
    params = {name: weights[name].to(t.dtype) for name, t in state.params.items()}
    mask = mapped(torch.ones_like, state.mask)
    return State(params, state.buffers, mask, rule=state.rule, basis=basis)


_EDITS = {"masked": _masked, "with_mask": _with_mask, "with_weights": _with_weights}


def _zeroed(tensors: Tensors, mask: Tensors) -> dict[str, Tensor]:
    return {name: torch.where(mask[name], t, 0) if name in mask else t for name, t in tensors.items()}


def module_of(model: Model, state: State, device: torch.device | str = "cpu") -> nn.Module:
    """Return a new module that holds copies of the state's weights and buffers."""
    module, weights = model.module().to_empty(device=device), state.weights
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(weights[name])
        for name, buffer in module.named_buffers():
            buffer.copy_(state.buffers[name])
    return module
