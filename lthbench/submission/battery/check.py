"""The battery of checks that every registered method passes: its header is compared with small real runs."""

import contextlib
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lthbench import budget
from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.methods.registry import Method
from lthbench.pruning.allocate import removed_count
from lthbench.runs.driver.job import Job
from lthbench.runs.plan.plan import PlannedRun
from lthbench.runs.records.record import Record, Result
from lthbench.submission.battery.allowed import refused
from lthbench.submission.battery.peeking import private, watched
from lthbench.submission.battery.substitution import acts_otherwise
from lthbench.suite import Suite
from lthbench.training.gpu.watch import watching_steps

OWN_SHARE = 0.5  # share of the CPU time of a run's trainings that the method's own code may take
MEASURE_SHARE = 20  # a measurement may take this many times the CPU time of training on the same number of examples
SEEDS = 2  # of the suite; the checks need no more
SPARE = 2.0  # CPU seconds of either that are free, because a first call loads libraries


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, whether it passed, and the details."""

    check: str
    passed: bool
    found: str


def check(method: str, data: Path | None = None, suite: str | None = None, start: str = "") -> list[Finding]:
    """Run a method (as typed for --method) on a small suite, then with its first seed again, also at sparsity 0.

    The suite is the one that the method names, unless another is given. The checks: the method uses only the objects that
    it was given; it runs in every cell; its sparsity is exact; its charge equals the declared cost and the plan; two
    executions are equal bit for bit; seeds differ; the returned network classifies better than chance; at sparsity 0 the
    result equals that of the method named by `at_zero`.
    """
    registry.load_all()
    if (file := registry.file_in(method)) and (names := refused(file)):
        return [_finding("no peeking", names, "")]
    with watched() as touched:
        whole = without_exceeded_budget(Suite.read(suite or registry.find(method).suite), method)
        small = whole.model_copy(update={"seeds": min(SEEDS, max(whole.looks))})
        job = Job.make(small, [method], data, only=True, device="cpu")
        once = _records(job, start)
        with watching_steps(job.methods[0].file) as waits:
            again = _records(Job.make(_one_seed(small), [method], data, only=True, device="cpu"), start)
    first, second = [[record.result for record in records] for records in (once, again)]
    failed = [r for r in first if r.status != "ok"]
    file = job.methods[0].file
    findings = [
        _header(job.methods[0]),
        _finding("no peeking", [*refused(file), *private(file), *touched], "uses only the objects that it is given"),
        _finding("runs everywhere", _reasons(failed), f"{len(first)} runs"),
    ]
    if not all(finding.passed for finding in findings):
        return findings
    findings += [
        _finding("exact sparsity", map(_sparsity, first), "as asked in every run"),
        _finding("own work", filter(None, map(own_work, once)), "its own computation beside its trainings is small"),
        _finding("declared cost", (_cost(job.methods[0], small, r) for r in first), f"charged {job.methods[0].cost}"),
        _finding("plan equals run", _plan(job.plan.runs, first), _plan_note(job.plan.runs)),
        _finding("deterministic", _differences(first, second), "two executions, the same bits"),
        _finding("seeds differ", _same_seeds(first), "another seed gives other weights"),
        _learns(first),
        Finding("fast on a GPU", True, _speed(waits)),
    ]
    said = acts_otherwise(job, once[0], lambda other: _records(other, start))
    findings.append(_finding("substitution", [said], "the same actions under other names and permuted classes"))
    if job.methods[0].at_zero:
        findings.append(_at_zero(small, job.methods[0], method, data, start))
    return findings


def declared_cost(method: Method, suite: Suite, sparsity: float) -> tuple[float, bool]:
    """Return the epochs that a method's header declares for a cell, and whether they are "at most" ("<=" in front).

    A part in brackets after a plus ("(+ source)") is off budget and not counted.
    """
    formula, at_most = method.cost.partition("(+")[0], method.cost.startswith("<=")
    names = {"T": float(suite.recipe.epochs), "n": float(len(budget.rounds(sparsity)))}
    names |= {name: float(v) for name, v in method.defaults.items() if isinstance(v, int | float)}
    if (limit := suite.budget_epochs(sparsity)) is not None:
        names["B"] = limit
    return budget.evaluate(formula.removeprefix("<="), names), at_most


def without_exceeded_budget(suite: Suite, method: str) -> Suite:
    """Return the suite, without its budget if the method's header declares more. Methods of some papers have no budget."""
    registry.load_all()
    asked = registry.find(method)
    with contextlib.suppress(InputError):
        if any(declared_cost(asked, suite, s)[0] > (suite.budget_epochs(s) or math.inf) for s in suite.sparsities):
            return suite.model_copy(update={"budget": "none"})
    return suite


def _one_seed(suite: Suite) -> Suite:
    return suite.model_copy(update={"seeds": 1})


def _records(job: Job, start: str) -> list[Record]:
    with tempfile.TemporaryDirectory(prefix="lthbench-check-") as folder:
        driver = job.driver(Path(folder), executor="serial", start=start)
        driver.run()
        return sorted(driver.records, key=lambda record: record.run_id)


def own_work(record: Record) -> str | None:
    """Say why a run computed too much beside its trainings; None where it did not, or nothing was counted.

    Statistics of a network are cheap; training is not. The method's own code may take OWN_SHARE of the CPU time of its
    trainings. A measurement may take MEASURE_SHARE times the CPU time of training on the same number of examples. SPARE
    seconds are free.
    """
    cpu, seen = record.provenance.cpu, record.provenance.seen
    if cpu is None or seen is None:
        return None
    own, train, measure = (cpu.get(kind, 0.0) for kind in ("method", "train", "measure"))
    if own > SPARE + OWN_SHARE * train:
        return f"{record.run_id}: the method's own code took {own:.3g} s of CPU, its trainings {train:.3g} s"
    if seen.get("train") and measure > SPARE + MEASURE_SHARE * train * seen.get("measure", 0) / seen["train"]:
        few, many = seen.get("measure", 0), seen["train"]
        return (
            f"{record.run_id}: measuring {few} examples took {measure:.3g} s of CPU, training {many} took {train:.3g} s"
        )
    return None


def _speed(waits: Iterable[str]) -> str:
    """Say whether a GPU can replay the steps. What it cannot replay is right all the same."""
    for wait in waits:
        return f"no: {wait} inside the step, so that a GPU trains by the plain loop, several times as slowly"
    return "a GPU can replay the steps of its trainings"


def _finding(check: str, problems: Iterable[str | None], fine: str) -> Finding:
    wrong = [problem for problem in problems if problem]
    return Finding(check, not wrong, wrong[0] if wrong else fine)


def _header(method: Method) -> Finding:
    try:
        declared_cost(method, Suite.read("smoke"), 0.8)
    except InputError as error:
        return Finding("header", False, str(error))
    fine = "" if method.cite else " (no citation yet)"
    return Finding(
        "header", bool(method.about), method.about + fine or "the file's first docstring line says what it does"
    )


def _reasons(failed: list[Result]) -> list[str]:
    return [f"{_where(r)}: {r.status}: {r.reason}" for r in failed]


def _sparsity(r: Result) -> str | None:
    asked = removed_count(r.prunable or 0, r.sparsity)
    over = (r.removed or 0) - asked
    if r.track == "dense":  # a reference is not asked to remove any weights
        over = min(over, 0)
    return f"{_where(r)}: {r.removed} removed, {asked} asked" if over < 0 or over > 0.02 * (r.prunable or 0) else None


def _cost(method: Method, suite: Suite, r: Result) -> str | None:
    declared, at_most = declared_cost(method, suite, r.sparsity)
    charged = r.charged["train"] / r.epoch
    fits = charged <= declared + 1e-9 if at_most else abs(charged - declared) < 0.5 / r.epoch + 1e-9
    return None if fits else f"{_where(r)}: trained {charged:g} epochs, cost={method.cost!r} says {declared:g}"


def _plan(runs: list[PlannedRun], results: list[Result]) -> Iterator[str | None]:
    charges = {_where(r): sum(r.charged.values()) / r.epoch for r in results}
    for run in runs:
        cell = run.cell
        charged = charges[_place(cell.workload.name, cell.sparsity, cell.learning_rate, cell.seed)]
        planned = run.charge if run.complete else run.most
        fits = abs(planned - charged) < 1e-9 if run.complete else charged <= planned + 1.0
        yield None if fits else f"{cell}: planned {planned:g} epochs, charged {charged:g}"


def _plan_note(runs: list[PlannedRun]) -> str:
    return "the same charge" if all(run.complete for run in runs) else "at most: the method looks at values"


def _differences(first: list[Result], second: list[Result]) -> Iterator[str]:
    """Compare the runs of a second execution with the same runs of the first."""
    before = {_where(r): r for r in first}
    for b in second:
        if b != (a := before[_where(b)]):
            fields = [name for name in Result.model_fields if getattr(a, name) != getattr(b, name)]
            yield f"{_where(a)}: two executions differ in {', '.join(fields)}"


def _same_seeds(results: list[Result]) -> Iterator[str]:
    seen: dict[Any, int] = {}
    for r in results:
        name = (r.workload, r.sparsity, r.learning_rate, r.weights)
        if name in seen:
            yield f"{_where(r)}: the same weights as seed {seen[name]}"
        seen[name] = r.seed


def _learns(results: list[Result]) -> Finding:
    """Check that the best run is correct on the training examples more than 1.5 times as often as chance."""
    times, best = max(
        (r.train.percent / 100 / (r.chance or 1 / r.classes), r.train.percent) for r in results if r.train
    )
    return Finding("learns", times > 1.5, f"{best:.3g} % of the training examples correct at best")


def _at_zero(suite: Suite, method: Method, typed: str, data: Path | None, start: str) -> Finding:
    zero = _one_seed(suite).model_copy(update={"sparsities": (0.0,)})
    records = _records(Job.make(zero, [typed, str(method.at_zero)], data, only=True, device="cpu"), start)
    results = [record.result for record in records]
    weights = {_where(r): r.weights for r in results if r.method == str(method.at_zero)}
    wrong = [
        f"{_where(r)}: not the weights of {method.at_zero} ({r.reason or 'both ran'})"
        for r in results
        if r.method == method.label and (r.weights is None or r.weights != weights[_where(r)])
    ]
    return _finding("at sparsity 0", wrong, f"the same weights as {method.at_zero}, bit for bit")


def _where(r: Result) -> str:
    return _place(r.workload, r.sparsity, r.learning_rate, r.seed)


def _place(workload: str, sparsity: float, rate: float, seed: int) -> str:
    return f"{workload} sparsity {sparsity:g} learning rate {rate:g} seed {seed}"
