"""The tensors of a network at one moment, and what edits do to them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from lthbench.models import Model, initial_tensors
from lthbench.pruning.lineage import Edit, Init
from lthbench.pruning.tensors import Tensors


@dataclass(frozen=True)
class State:
    """Parameters, buffers and the mask by name; the momentum where training can go on; what a rule keeps.

    `raw` is the state before the rule's `finish`, from which the same training goes on.
    """

    params: dict[str, Tensor]
    buffers: dict[str, Tensor]
    mask: dict[str, Tensor]
    momentum: dict[str, Tensor] = field(default_factory=dict)
    rule: dict[str, Tensor] = field(default_factory=dict)
    raw: "State | None" = None

    @property
    def finite(self) -> bool:
        """Whether no parameter and no buffer holds NaN or infinity."""
        return all(bool(t.isfinite().all()) for t in (*self.params.values(), *self.buffers.values()))


def initial_state(init: Init) -> State:
    """The state of an initialisation: nothing removed."""
    model = init.model
    tensors = initial_tensors(model, init.scheme, init.seed, init.stream)
    mask = {name: torch.ones(shape, dtype=torch.bool) for name, shape in model.prunable_shapes.items()}
    params = {name: tensors[name] for name in model.shapes}
    return State(params, {name: t for name, t in tensors.items() if name not in params}, mask)


def edited(state: State, edits: Iterable[Edit], tensors: Callable[[str], Tensors]) -> State:
    """The state after the edits, whose tensors are looked up by digest. The given state is left as it is."""
    for edit in edits:
        state = _EDITS[edit.kind](state, tensors(edit.digest))
    return state


def _masked(state: State, mask: Tensors) -> State:
    both = {name: kept & mask[name] for name, kept in state.mask.items()}
    params, momentum = _zeroed(state.params, both), _zeroed(state.momentum, both)
    return replace(state, params=params, mask=both, momentum=momentum, raw=None)


def _with_mask(state: State, mask: Tensors) -> State:
    return replace(state, params=_zeroed(state.params, mask), mask=dict(mask), momentum={}, raw=None)


def _with_weights(state: State, tensors: Tensors) -> State:
    params = {name: tensors.get(name, t) for name, t in state.params.items()}
    buffers = {name: tensors.get(name, t) for name, t in state.buffers.items()}
    return replace(state, params=_zeroed(params, state.mask), buffers=buffers, momentum={}, raw=None)


_EDITS = {"masked": _masked, "with_mask": _with_mask, "with_weights": _with_weights}


def _zeroed(tensors: Tensors, mask: Tensors) -> dict[str, Tensor]:
    return {name: torch.where(mask[name], t, 0) if name in mask else t for name, t in tensors.items()}


def module_of(model: Model, state: State, device: torch.device | str = "cpu") -> nn.Module:
    """A module of its own that holds copies of the state's parameters and buffers."""
    module = model.module().to_empty(device=device)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(state.params[name])
        for name, buffer in module.named_buffers():
            buffer.copy_(state.buffers[name])
    return module
