"""Final networks: the kept values, the mask and the start weights of the network that a method returned.

An entry's tensors are `values/<parameter>` (where the parameter is prunable, the kept ones alone, in order), `buffers/…`,
`mask/<parameter>` (bit-packed), and `start/…`, `start-buffers/…` where the seed does not give them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from lthbench.methods.network import Network, origin_of
from lthbench.models import Model
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.state import State, initial_state
from lthbench.pruning.tensors import Tensors, digest, mapped, packed, unpacked
from lthbench.runs.driver.broker import Broker, EditTensors

KIND = "finals"  # in the store
NOTHING: Tensors = MappingProxyType({})


@dataclass(frozen=True)
class FinalNetwork:
    """A network at its end, and the weights that its last training started from, under the same mask.

    `origin` describes the start weights: {"kind": "init", "scheme", "seed", "stream"} where the seed gives them,
    {"kind": "pretrained", "scheme", "seed", "stream", "start"} where the workload's start does, else {"kind": "trained",
    "trajectory", "step"} or {"kind": "edited"}.
    """

    model: Model
    state: State
    start: State
    origin: dict[str, Any]
    tensors: dict[str, Tensor] = field(repr=False)

    @property
    def note(self) -> dict[str, Any]:
        """Return the note that is written beside the tensors."""
        return {"model": asdict(self.model), "origin": self.origin}


def capture(broker: Broker, net: Network, edit_tensors: EditTensors) -> FinalNetwork:
    """Capture the network that a method returned."""
    origin = origin_of(net)
    state = broker.network(origin.lineage, edit_tensors)
    lineage = origin.trajectory.start if origin.trajectory else origin.lineage
    start = _under(broker.network(lineage, edit_tensors), state.mask)
    root = _under(broker.network(Lineage(lineage.root), edit_tensors), state.mask)
    start_from, seeded = _origin(lineage, _content(start) == _content(root))
    tensors = _flat(state) | {f"mask/{n}": t for n, t in mapped(packed, state.mask).items()}
    if not seeded:
        tensors |= {f"start{'-buffers' * (part == 'buffers')}/{n}": t for part, n, t in _parts(start)}
    return FinalNetwork(net.model, state, start, start_from, tensors)


def restored(model: Model, origin: dict[str, Any], tensors: Tensors) -> FinalNetwork:
    """Restore a captured network from tensors whose names and shapes were checked."""
    mask = {n: unpacked(tensors[f"mask/{n}"], shape) for n, shape in model.prunable_shapes.items()}
    state = _state(tensors, "values", "buffers", model, mask)
    seeded = origin["kind"] == "init"
    start = seeded_start(model, origin, mask) if seeded else _state(tensors, "start", "start-buffers", model, mask)
    return FinalNetwork(model, state, start, origin, dict(tensors))


def noted_model(note: Mapping[str, Any]) -> Model:
    """Return the model in a note, which holds lists in place of tuples."""
    fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in note["model"].items()}
    return Model(**fields)


def seeded_start(model: Model, origin: Mapping[str, Any], mask: Tensors, start: Tensors = NOTHING) -> State:
    """Return the seeded initialisation under a mask, with the tensors of a pretrained `start`."""
    init = Init(model, origin["scheme"], origin["seed"], origin["stream"], origin.get("start", ""))
    return _under(initial_state(init, start), mask)


def _origin(lineage: Lineage, unedited: bool) -> tuple[dict[str, Any], bool]:
    """Return the origin of start weights, and whether the seed gives them. `unedited`: they are those of the root."""
    root = lineage.root
    if not isinstance(root, Init):
        return {"kind": "trained", "trajectory": root.trajectory, "step": root.step}, False
    if not unedited:
        return {"kind": "edited"}, False
    drawn = {"scheme": root.scheme, "seed": root.seed, "stream": root.stream}
    if root.start:
        return {"kind": "pretrained", **drawn, "start": root.start}, False
    return {"kind": "init", **drawn}, True


def _content(state: State) -> str:
    return digest(state.params | state.buffers)


def _under(state: State, mask: Tensors) -> State:
    """Return the same values under another mask."""
    params = {n: torch.where(mask[n], t, 0) if n in mask else t for n, t in state.params.items()}
    return State(params, state.buffers, dict(mask))


def _flat(state: State) -> dict[str, Tensor]:
    return {f"{part}/{name}": t for part, name, t in _parts(state)}


def _parts(state: State) -> list[tuple[str, str, Tensor]]:
    values = [("values", n, t[state.mask[n]] if n in state.mask else t) for n, t in state.params.items()]
    return values + [("buffers", n, t) for n, t in state.buffers.items()]


def _state(tensors: Tensors, values: str, buffers: str, model: Model, mask: Tensors) -> State:
    params = {n: _whole(tensors[f"{values}/{n}"], mask.get(n), shape) for n, shape in model.shapes.items()}
    names = [n.removeprefix(f"{buffers}/") for n in tensors if n.startswith(f"{buffers}/")]
    return State(params, {n: tensors[f"{buffers}/{n}"] for n in names}, dict(mask))


def _whole(values: Tensor, kept: Tensor | None, shape: torch.Size) -> Tensor:
    """Return a tensor with the kept values at their positions and zero elsewhere."""
    if kept is None:
        return values.reshape(shape)
    return torch.zeros(shape, dtype=values.dtype).masked_scatter(kept, values)
