"""Planning: methods run on tensors that have a shape and a lineage but no values.

The plan knows every operation, what is shared and what is charged, before any work. It equals the real run's, except for
a method that looks at a value or validates: from there on it is "at most the budget".
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from lthbench import keys
from lthbench.data import Manifest
from lthbench.errors import LthbenchError, OverBudget, ValueLooked
from lthbench.models import Model
from lthbench.pruning.network import Network
from lthbench.pruning.state import State
from lthbench.pruning.tensors import Planned, Tensors
from lthbench.registry import Method
from lthbench.runs.guard import generators, restore
from lthbench.runs.operations import Measure, Validate
from lthbench.runs.run import Run
from lthbench.runs.setting import Setting
from lthbench.suite import Cell, Suite, Workload
from lthbench.training.rules import overrides
from lthbench.training.trajectory import Trajectory


@dataclass(frozen=True)
class Step:
    """One operation that a run asks for: a key, and for a training its trajectory, from where to where."""

    kind: str
    key: str
    trajectory: str = ""
    start: int = 0
    stop: int = 0
    size: int = 0  # bytes of the state that it leaves


@dataclass
class PlannedRun:
    """What one run will ask for. `complete`: it never looks at a value; `refused`: why it will not start."""

    method: Method
    cell: Cell
    steps: list[Step] = field(default_factory=list)
    charge: float = 0.0  # epochs
    complete: bool = True
    refused: str | None = None
    most: float = math.inf  # epochs that it may spend, where the plan is not complete

    @property
    def name(self) -> tuple[str, Cell]:
        return self.method.label, self.cell


@dataclass
class Plan:
    """The planned runs of a suite, and what they share."""

    runs: list[PlannedRun]
    epoch: dict[str, float] = field(
        default_factory=dict
    )  # steps in which as many examples are seen as there are, by trajectory

    @property
    def stops(self) -> dict[str, list[int]]:
        """Where each trajectory is asked to leave a state."""
        stops: dict[str, set[int]] = defaultdict(set)
        for step in self._trainings():
            stops[step.trajectory].add(step.stop)
        return {trajectory: sorted(at) for trajectory, at in stops.items()}

    @property
    def users(self) -> dict[str, set[tuple[str, Cell]]]:
        """Which runs need each state."""
        users: dict[str, set[tuple[str, Cell]]] = defaultdict(set)
        for run in self.runs:
            for step in run.steps:
                users[step.key].add(run.name)
        return users

    @property
    def asked(self) -> int:
        """Operations that runs ask for."""
        return sum(len(run.steps) for run in self.runs)

    @property
    def operations(self) -> int:
        """Distinct operations: what workers do when nothing is in the store. A trajectory is one, with all its stops."""
        return len({step.trajectory or step.key for run in self.runs for step in run.steps})

    @property
    def charged(self) -> float:
        """Epochs charged to all runs."""
        return sum(run.charge for run in self.runs)

    @property
    def computed(self) -> float:
        """Epochs that are trained when nothing is in the store: the union of all steps on each trajectory."""
        return sum(self.trained.values())

    @property
    def trained(self) -> dict[str, float]:
        """Epochs of each trajectory that are trained when nothing is in the store."""
        covered: dict[str, set[tuple[int, int]]] = defaultdict(set)
        for step in self._trainings():
            covered[step.trajectory].add((step.start, step.stop))
        return {trajectory: union(spans) / self.epoch[trajectory] for trajectory, spans in covered.items()}

    def epochs(self) -> dict[Workload, float]:
        """Epochs that are trained on each workload when nothing is in the store."""
        owner = {step.trajectory: run.cell.workload for run in self.runs for step in run.steps if step.kind == "train"}
        sums = dict.fromkeys(owner.values(), 0.0)
        for trajectory, epochs in self.trained.items():
            sums[owner[trajectory]] += epochs
        return sums

    def peak(self, live: int = 8) -> int:
        """Bytes of the states that lie in the store at once when the runs go in their order, `live` of them at a time."""
        last = {step.key: i + live for i, run in enumerate(self.runs) for step in run.steps}
        held: dict[str, int] = {}
        peak = 0
        for i, run in enumerate(self.runs):
            held |= {step.key: step.size for step in run.steps}
            peak = max(peak, sum(held.values()))
            held = {key: size for key, size in held.items() if last[key] > i}
        return peak

    def _trainings(self) -> Iterator[Step]:
        return (step for run in self.runs for step in run.steps if step.kind == "train")


def union(spans: Iterable[tuple[int, int]]) -> int:
    """How many steps lie in at least one of the spans."""
    steps = end = 0
    for start, stop in sorted(spans):
        steps += max(0, stop - max(start, end))
        end = max(end, stop)
    return steps


class Planner:
    """An engine that does nothing: it notes what is asked and hands out planned tensors."""

    def __init__(self, plan: Plan, planned: PlannedRun):
        self._plan, self._planned = plan, planned

    def train(self, run: Run, trajectory: Trajectory, stop: int) -> int:
        key = trajectory.state(stop).key
        start = max((s.stop for s in self._planned.steps if s.trajectory == trajectory.key), default=trajectory.first)
        size = _state_size(trajectory, stop)
        clock = trajectory.clock
        self._plan.epoch[trajectory.key] = clock.steps_per_epoch * run.setting.size / clock.size
        self._planned.steps.append(Step("train", key, trajectory.key, min(start, stop), stop, size))
        if overrides(trajectory.rule, "done"):
            raise ValueLooked("a rule that may end early")
        return stop

    def measure(self, run: Run, operation: Measure) -> Tensors:
        self._planned.steps.append(Step("measure", operation.key))
        return _Measured(operation.key, operation.source.model.shapes, operation.source.model.prunable_shapes)

    def validate(self, run: Run, operation: Validate) -> float:
        raise ValueLooked("validate")

    def load(self, run: Run, net: Network) -> State:
        key, model = net.key, net.model

        def planned(part: str, shapes: Mapping[str, tuple[torch.Size, torch.dtype]]) -> dict[str, Tensor]:
            return {n: Planned.of(shape, keys.key(key, part, n), dtype) for n, (shape, dtype) in shapes.items()}

        params = planned("params", {n: (shape, torch.float32) for n, shape in model.shapes.items()})
        mask = planned("mask", {n: (shape, torch.bool) for n, shape in model.prunable_shapes.items()})
        return State(params, planned("buffers", _buffers(model)), mask, rule=_Unknown())


def _state_size(trajectory: Trajectory, stop: int) -> int:
    """Bytes of a state, generously: a rule is taken to keep two numbers for each prunable weight."""
    model, rule = trajectory.model, trajectory.rule
    weights = 4 * sum(shape.numel() for shape in model.shapes.values())
    buffers = sum(shape.numel() * dtype.itemsize for shape, dtype in _buffers(model).values())
    momentum = weights * (stop < trajectory.clock.total)
    kept = 8 * model.prunable_count * overrides(rule, "start")
    once = weights + buffers + momentum + kept + model.prunable_count + 1000 * len(model.shapes)
    return once * (1 + overrides(rule, "finish"))


@lru_cache(maxsize=256)
def _buffers(model: Model) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (b.shape, b.dtype) for name, b in model.module().named_buffers()}


class _Unknown(dict[str, Tensor]):
    """Tensors of which not even the names are known."""

    def __getitem__(self, name: str) -> Tensor:
        raise ValueLooked(name)

    def __iter__(self) -> Iterator[str]:
        raise ValueLooked("names")

    def items(self) -> Iterable[tuple[str, Tensor]]:  # type: ignore[override]
        raise ValueLooked("names")


class _Measured(Mapping[str, Tensor]):
    """What a probe will find: for the name of a parameter a tensor of its shape; other names are not known."""

    def __init__(self, key: str, known: Mapping[str, torch.Size], listed: Mapping[str, torch.Size]):
        self._key, self._known, self._listed = key, known, listed

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._known:
            raise ValueLooked(name)
        return Planned.of(self._known[name], keys.key(self._key, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


def plan(suite: Suite, methods: Iterable[Method], manifests: Mapping[str, Manifest]) -> Plan:
    """The plan of a suite's runs, in the order in which they start."""
    plan = Plan([])
    for method, cell in order(suite, methods):
        plan.runs.append(_planned(plan, method, Setting(suite, cell, manifests[cell.workload.dataset])))
    return plan


def order(suite: Suite, methods: Iterable[Method]) -> Iterator[tuple[Method, Cell]]:
    """Methods x cells; the dense references once for each workload, rate and seed; controls where the suite marks them."""
    for method in methods:
        for cell in suite.cells(dense=method.track == "dense", control=method.control_of is not None):
            yield method, cell


def _planned(plan: Plan, method: Method, setting: Setting) -> PlannedRun:
    planned = PlannedRun(method, setting.cell, most=math.inf if setting.budget is None else setting.budget)
    run = Run(setting, Planner(plan, planned))
    before = generators()
    try:
        final = run.finish(method.function(run, **method.parameters))
        asked = [("evaluate", final.key, *(other.key for other in run.compared(final).values()))]
        asked += [("evaluate", net.key) for net in run.kept.values()]
        asked += [("barrier", a.key, b.key) for a, b in run.lines.values()]
        planned.steps += [Step(what[0], keys.key(*what)) for what in asked]
    except ValueLooked:
        planned.complete = False
    except OverBudget as error:
        planned.refused = str(error)
    except LthbenchError as error:
        planned.complete, planned.refused = False, None
        planned.steps.append(Step("fails", keys.key(str(error), method.label, str(setting.cell))))
    except Exception:  # it may do so only in thought; the real run says it with its reason
        planned.complete = False
    finally:
        restore(before)
    planned.charge = run.ledger.total / setting.size
    if planned.refused:
        planned.steps.clear()
        planned.charge = 0.0
    return planned
