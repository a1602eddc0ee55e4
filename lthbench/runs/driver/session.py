"""A session carries out one run, from its method's first line to its record."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from lthbench.errors import Halted, MethodError
from lthbench.methods.internals.context import RunContext
from lthbench.methods.internals.operations import Barrier, Evaluate, Measure, Validate, Value
from lthbench.methods.internals.returned import check_pattern, compared, counted
from lthbench.methods.internals.setting import Setting
from lthbench.methods.network import Network, origin_of
from lthbench.methods.run import Run
from lthbench.pruning.lineage import Lineage, Trained
from lthbench.pruning.state import State
from lthbench.pruning.tensors import Tensors
from lthbench.runs.driver.broker import Broker
from lthbench.runs.driver.failure_message import in_one_line, location
from lthbench.runs.driver.learning_curve import ended_by, on_record
from lthbench.runs.driver.outcome import as_record, heading, trace_name
from lthbench.runs.driver.run_lock import RunLock
from lthbench.runs.driver.run_log import Asked, RunLog
from lthbench.runs.driver.work_account import WorkAccount
from lthbench.runs.plan.plan import PlannedRun
from lthbench.runs.records.record import Count, EarlyStop, Record
from lthbench.runs.store.curve import Point
from lthbench.runs.store.store import Trace
from lthbench.runs.workers.evaluation import Evaluation
from lthbench.training.metering.bounds import check_own_work
from lthbench.training.rules import overrides
from lthbench.training.trajectory import Trajectory

log = logging.getLogger(__name__)


class Stopped(BaseException):
    """The error that the suite was interrupted, or cannot go on; then its cause says why.

    It is not an Exception, so that no method catches it.
    """


@contextmanager
def _halting() -> Iterator[None]:
    """Stop the whole suite, and not the run alone, when the disk is full or the cluster is gone."""
    try:
        yield
    except Halted as error:
        raise Stopped from error


@dataclass
class Session:
    """The engine of one run. It has the operations done that the planner only notes."""

    planned: PlannedRun
    setting: Setting
    broker: Broker
    run_lock: RunLock
    stops: dict[str, list[int]]  # of all runs, by planned trajectory
    stopping: Callable[[], bool]
    environment: dict[str, str]
    log: RunLog = field(default_factory=RunLog)
    real: list[str] = field(default_factory=list)  # keys of the requested operations, in order
    computed: float = 0.0  # epochs
    final: Network | None = None  # the network that the method returned

    def __post_init__(self) -> None:
        self.context = RunContext(self.setting, self)
        self.run = Run(self.context)
        self.trace = Trace(self.broker.store, trace_name(self.setting, self.planned.method))
        self._started, self._clock, self._work = time.time(), time.perf_counter(), WorkAccount()

    def outcome(self) -> dict[str, Any]:
        """Run the method, evaluate the returned network, and return the outcome. Raises nothing but Stopped."""
        if self.trace.outcome:
            return self.trace.outcome
        self.log.started(self.planned.run_id)
        self.run_lock.take()
        try:
            outcome = self._outcome()
        except (Exception, SystemExit) as error:
            if self.stopping():  # the executor was closed under it
                raise Stopped from error
            outcome = self._failed(error)
        finally:
            try:
                self.run_lock.give()
            except MethodError as error:
                outcome = self._failed(error)
        return outcome

    def record(self, outcome: dict[str, Any]) -> Record:
        """Return the record of an outcome. The trace notes the outcome; from then on it stands, unless it is a failure."""
        if outcome["status"] != "failed" and not self.trace.outcome:
            self.trace.end(outcome)
            self.log.ended(outcome, self._seconds)
        return as_record(
            outcome,
            epochs_computed=self.computed,
            seconds=round(self._seconds, 3),
            cpu=self._work.seconds,
            seen=self._work.seen,
            started=datetime.fromtimestamp(self._started, UTC).isoformat(timespec="seconds"),
            environment=self.environment,
        )

    def train(self, context: RunContext, trajectory: Trajectory, stop: int) -> int:
        root = trajectory.state(stop)
        planned = self._ask("train", root.key)
        stops = self.stops.get(planned, [])
        with self._working(self.log.training(trajectory, stop)) as asked:
            asked.work = self.broker.state(trajectory, stop, context.edit_tensors, stops, self._remainder)
            return (
                self.broker.ended(trajectory, stop, context.edit_tensors)
                if overrides(trajectory.rule, "done")
                else stop
            )

    def measure(self, context: RunContext, operation: Measure) -> Tensors:
        self._ask("measure", operation.key)
        with self._working(f"measure {type(operation.probe).__name__}") as asked:
            tensors, _, asked.work = self.broker.value(operation, context.edit_tensors)
        return tensors

    def validate(self, context: RunContext, operation: Validate) -> float:
        self._ask("validate", operation.key)
        with self._working("validate") as asked:
            _, note, asked.work = self.broker.value(operation, context.edit_tensors)
        return note["right"] / note["count"]

    def load(self, context: RunContext, net: Network) -> State:
        with _halting(), self.run_lock.released(), self._work.paused():
            return self.broker.network(origin_of(net).lineage, {**context.edit_tensors, **origin_of(net).edit_tensors})

    def _outcome(self) -> dict[str, Any]:
        if self.planned.refused:
            raise MethodError(self.planned.refused)
        final = self.context.returned(self._method())
        self.final = final
        found = self._evaluate(final, compared(self.context, final))
        curve = self._curve(origin_of(final).lineage, ended_by(final))
        removed, prunable = counted(self.context, found.layers)
        check_pattern(self.context, found.off_pattern)
        kept = {name: self._evaluate(net) for name, net in self.context.kept.items()}
        return self._result(
            status="ok" if found.finite else "diverged",
            reason=None if found.finite else f"weights are not finite after {self.context.pipeline}",
            **{part: count.model_dump() for part, count in found.counts.items()},
            removed=removed,
            prunable=prunable,
            parameters_total=sum(shape.numel() for shape in final.model.shapes.values()),
            loss=found.finite_loss,
            kept={name: one.kept.model_dump(by_alias=True) for name, one in kept.items()},
            correlation={name: r for name, r in found.correlation.items() if r},
            barriers={name: self._barrier(*pair) for name, pair in self.context.lines.items()},
            notes=self.context.notes,
            compact=found.compact,
            zero_weights=found.zero_weights,
            correct=found.correct,
            layers=found.layers,
            multiplications=found.multiplications,
            ticket=found.mask_digest,
            weights=found.weights,
            **curve,
        )

    def _curve(self, final: Lineage, trajectory: Trajectory | None) -> dict[str, Any]:
        """Return the learning curve of the training that the returned network ends and, where it was watched, the early stop.

        The curve lies under the stop that was asked for, also where the rule ended the training before it.
        """
        if trajectory is None or not isinstance(final.root, Trained):
            return {}
        with _halting(), self.run_lock.released(), self._work.paused():
            curve = self.broker.curve(trajectory, final.root.step, self.context.edit_tensors)
        least = curve.least if curve else None
        stop = self._early_stop(trajectory, least) if least else None
        return {"curve": on_record(trajectory, curve) if curve else None, "early_stop": stop}

    def _early_stop(self, trajectory: Trajectory, least: Point) -> dict[str, Any]:
        """Evaluate the network of least validation loss of a watched training."""
        found = self._evaluated(Lineage(trajectory.state(least.step)))
        validation = Count(right=least.right, of=trajectory.validation)
        return EarlyStop(
            step=least.step, loss=least.loss, validation=validation, test=found.counts["test"]
        ).model_dump()

    def _method(self) -> Any:
        """Run the method's own code. MethodError where that code feeds examples to networks or trains by itself."""
        method, own = self.planned.method, self._work.own
        self._work.resume()
        try:
            found = method.function(self.run, **method.parameters)
        finally:
            self._work.pause()
        if own.seen:
            raise MethodError(
                f"the method's own code fed {own.seen} examples to networks without charge: "
                "measure with a probe (run.measure), train with run.train"
            )
        check_own_work(own.flops, self.context.ledger.trained, self.setting.model)
        return found

    def _failed(self, error: BaseException) -> dict[str, Any]:
        said, where = in_one_line(error), location(error, self.planned.method.function)
        status = "diverged" if self.context.diverged else "failed"
        self.log.failed(status, where, said, error)
        reason = f"{said} ({where})" if where and where.partition(":")[0] not in said else said
        if self.context.diverged:
            reason = f"weights are not finite after {self.context.pipeline}; then: {reason}"
        return self._result(status=status, reason=reason)

    def _evaluate(self, net: Network, others: Mapping[str, Lineage] = MappingProxyType({})) -> Evaluation:
        origin_of(net).check_unchanged()
        self.context.edit_tensors |= origin_of(net).edit_tensors
        return self._evaluated(origin_of(net).lineage, tuple(others.items()))

    def _evaluated(self, source: Lineage, others: tuple[tuple[str, Lineage], ...] = ()) -> Evaluation:
        suite, test = self.setting.suite, self.setting.manifest.fingerprints["test"]
        operation = Evaluate(source, self.setting.split, suite.precision, test, others, suite.pattern)
        return Evaluation.model_validate(self._unseen("evaluate", operation))

    def _barrier(self, a: Network, b: Network) -> dict[str, float]:
        suite, test = self.setting.suite, self.setting.manifest.fingerprints["test"]
        return self._unseen(
            "barrier", Barrier(origin_of(a).lineage, origin_of(b).lineage, self.setting.split, suite.precision, test)
        )

    def _unseen(self, kind: str, operation: Value) -> Any:
        """Have a network evaluated, and return the note. The method never sees it."""
        self._ask(kind, operation.key)
        with self._working(kind) as asked:
            _, note, asked.work = self.broker.value(operation, self.context.edit_tensors)
        return note

    def _result(self, **found: Any) -> dict[str, Any]:
        return heading(self.planned.method, self.context) | found

    def _ask(self, kind: str, key: str) -> str:
        """Note an operation. Returns its planned trajectory, or "". MethodError if an earlier run asked for another one."""
        if self.stopping():
            raise Stopped
        index = len(self.real)
        self.real.append(key)
        with _halting():
            before = self.trace.ask(index, f"{kind} {key}")
        if before is not None:
            raise MethodError(
                f"the method is not deterministic: operation {index + 1} was {before} when the same source ran before, "
                f"and is {kind} {key} now; draw from run.generator(…) only, or take another --out if lthbench has changed"
            )
        steps = self.planned.steps
        return steps[index].trajectory if index < len(steps) and steps[index].kind == kind else ""

    @contextmanager
    def _working(self, what: str) -> Iterator[Asked]:
        """Let other runs go on while an operation is running."""
        with self._work.paused(), self.log.operation(what) as asked, _halting(), self.run_lock.released():
            yield asked
        self.computed += asked.work.epochs
        self._work.add(what.partition(" ")[0], asked.work)

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._clock

    @property
    def _remainder(self) -> float:
        """Return the epochs that the run is planned to ask for after this operation. The longest goes first."""
        return self.planned.charge - self.context.ledger.total / self.setting.n_train
