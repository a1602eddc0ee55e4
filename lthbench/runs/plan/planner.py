"""The planner runs methods on tensors that have a shape and a lineage but no values, and notes their operations."""

import math
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from lthbench import keys
from lthbench.errors import LthbenchError, OverBudget, ValueLooked
from lthbench.methods.internals.context import RunContext
from lthbench.methods.internals.operations import Measure, Validate
from lthbench.methods.internals.returned import compared
from lthbench.methods.internals.setting import Setting
from lthbench.methods.network import Network, origin_of
from lthbench.methods.registry import Method
from lthbench.methods.run import Run
from lthbench.pruning.state import State
from lthbench.pruning.tensors import Planned, Tensors
from lthbench.runs.plan import disk_usage
from lthbench.runs.plan.planned_run import PlannedRun, Step
from lthbench.runs.workers.barrier import POINTS
from lthbench.runs.workers.process_state import generators, restore
from lthbench.training.rules import overrides
from lthbench.training.trajectory import Trajectory

FORWARD = 1 / 3  # share of the time of a training step that the forward pass takes


def planned(method: Method, setting: Setting) -> PlannedRun:
    """Return the operations that a method will ask for on a cell. Raises nothing: the real run reports any error."""
    thought = PlannedRun(method, setting.cell, most=math.inf if setting.budget is None else setting.budget)
    context = RunContext(setting, Planner(thought))
    run = Run(context)
    before = generators()
    try:
        final = context.returned(method.function(run, **method.parameters))
        thought.steps += _evaluations(context, final)
        thought.final = disk_usage.final(final, setting.cell.sparsity)
        thought.tensors = {final.mask.digest: disk_usage.entry(final.mask.tensors)}
    except ValueLooked:
        thought.complete = False
    except OverBudget as error:
        thought.refused = str(error)
    except LthbenchError as error:
        thought.complete, thought.refused = False, None
        thought.steps.append(Step("fails", keys.key(str(error), method.label, str(setting.cell))))
    except Exception:  # the real run may not fail
        thought.complete = False
    finally:
        if generators() != before:
            restore(before)
    thought.charge = context.ledger.total / setting.n_train
    thought.tensors |= {name: disk_usage.entry(tensors) for name, tensors in context.edit_tensors.items()}
    if thought.refused:
        return PlannedRun(method, setting.cell, refused=thought.refused, most=thought.most)
    return thought


def _evaluations(context: RunContext, final: Network) -> Iterator[Step]:
    """Yield the evaluations of the networks of a run after its method has ended."""
    test = context.setting.manifest.sizes["test"]
    images = context.setting.n_train + context.setting.suite.validation + test
    charged = context.ledger.total / context.setting.n_train

    def step(kind: str, lines: int, *parts: str) -> Step:
        work = lines * images * FORWARD / context.setting.n_train
        return Step(kind, keys.key(kind, *parts), disk_usage.TEXT + 2 * test * (kind == "evaluate"), charged, work)

    yield step("evaluate", 1, final.key, *(other.key for other in compared(context, final).values()))
    if context.setting.recipe.watch and origin_of(final).trajectory:
        yield step("evaluate", 1, "least validation loss", final.key)
    for net in context.kept.values():
        yield step("evaluate", 1, net.key)
    for a, b in context.lines.values():
        yield step("barrier", POINTS, a.key, b.key)


class Planner:
    """An engine that computes nothing. It notes the operations asked for and hands out planned tensors."""

    def __init__(self, planned: PlannedRun):
        self._planned = planned

    def train(self, context: RunContext, trajectory: Trajectory, stop: int) -> int:
        before = [s.stop for s in self._planned.steps if s.trajectory == trajectory.key]
        start = min(max(before, default=trajectory.first), stop)
        state, size = trajectory.state(stop).key, disk_usage.state(trajectory, stop)
        epoch = trajectory.clock.steps_per_epoch * context.setting.n_train / trajectory.clock.size / trajectory.passes
        charged = context.ledger.total / context.setting.n_train
        self._planned.steps.append(
            Step("train", state, size, charged, trajectory=trajectory.key, start=start, stop=stop, epoch=epoch)
        )
        if overrides(trajectory.rule, "done"):
            raise ValueLooked("a rule that may end early")
        return stop

    def measure(self, context: RunContext, operation: Measure) -> Tensors:
        model = operation.source.model
        charged = context.ledger.total / context.setting.n_train
        images = operation.examples or (operation.per_class or 0) * model.classes or context.setting.n_train
        work = operation.passes * images / context.setting.n_train
        self._planned.steps.append(Step("measure", operation.key, disk_usage.weights(model), charged, work))
        return _Measured(operation.key, model.shapes, model.prunable_shapes)

    def validate(self, context: RunContext, operation: Validate) -> float:
        raise ValueLooked("validate")

    def load(self, context: RunContext, net: Network) -> State:
        key, model = net.key, net.model

        def planned(part: str, shapes: Mapping[str, tuple[torch.Size, torch.dtype]]) -> dict[str, Tensor]:
            return {n: Planned.of(shape, keys.key(key, part, n), dtype) for n, (shape, dtype) in shapes.items()}

        params = planned("params", {n: (shape, torch.float32) for n, shape in model.shapes.items()})
        mask = planned("mask", {n: (shape, torch.bool) for n, shape in model.prunable_shapes.items()})
        return State(params, planned("buffers", disk_usage.buffers(model)), mask, rule=_Unknown())


class _Unknown(dict[str, Tensor]):
    """Tensors whose names are not known."""

    def __getitem__(self, name: str) -> Tensor:
        raise ValueLooked(name)

    def __iter__(self) -> Iterator[str]:
        raise ValueLooked("names")

    def items(self) -> Iterable[tuple[str, Tensor]]:  # type: ignore[override]
        raise ValueLooked("names")


class _Measured(Mapping[str, Tensor]):
    """The planned result of a probe: a tensor of the parameter's shape for each parameter. Other names are not known."""

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
