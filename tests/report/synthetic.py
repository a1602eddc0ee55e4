"""Artificial records of a suite, with accuracies from a rule, so that reports can be compared with a known truth."""

from collections.abc import Callable, Iterator

import numpy as np

from lthbench.methods import registry
from lthbench.methods.registry import Method
from lthbench.runs.records.record import Count, EarlyStop, Kept, Provenance, Record, Result
from lthbench.suite import Cell, Suite

Accuracy = Callable[[Method, Cell], float]  # in percent
TEST = 1000


def records(suite: Suite, accuracy: Accuracy, seed: int = 0) -> tuple[Record, ...]:
    """Return one record for each run of the suite. Its accuracy is the rule's plus a little noise, the same for equal
    seeds."""
    registry.load_all()
    return tuple(_records(suite, accuracy, np.random.default_rng(seed)))


def _records(suite: Suite, accuracy: Accuracy, g: np.random.Generator) -> Iterator[Record]:
    for label in suite.methods:
        method = registry.find(label)
        for cell in suite.cells(dense=method.track == "dense"):
            percent = accuracy(method, cell) + g.normal(0, 0.2)
            yield _record(suite, method, cell, min(100.0, max(0.0, percent)), g)


def _record(suite: Suite, method: Method, cell: Cell, percent: float, g: np.random.Generator) -> Record:
    test = Count(right=round(percent * TEST / 100), of=TEST)
    width = float(method.defaults.get("epsilon") or 1) ** -1
    built = {"width": width, "error": 1 / width, "error_99": 0.5 / width, "kept_ratio": 5.0, "drawn_ratio": 30.0}
    kept = Kept(test=test, train=test, loss={"train": 0.5}, removed=0, prunable=100, ticket="t")
    early = EarlyStop(step=500, loss=0.4, validation=test, test=test) if suite.recipe.watch else None
    correlation = {f"{p:g}": min(1.0, p + 0.1 * float(g.random())) for p in (0.1, 0.2, 0.3, 0.4, 0.5)}
    result = Result(
        suite=suite.name,
        suite_version=suite.version,
        suite_hash=suite.hash,
        workload=cell.workload.name,
        dataset=cell.workload.dataset,
        fingerprints={},
        classes=10,
        tolerance=cell.workload.tolerance,
        learning_rate=cell.learning_rate,
        sparsity=cell.sparsity,
        seed=cell.seed,
        method=method.label,
        version="0",
        parameters=method.defaults,
        source="s",
        track=method.track,
        control_of=method.control_of,
        status="ok",
        test=test,
        train=test,
        loss={"test": 0.6, "train": 0.5},
        removed=round(100 * cell.sparsity),
        prunable=100,
        charged={"train": 2000, "score": 0, "validate": 0},
        apart={"source ticket": 7000} if "elastic" in method.name else {},
        budget=None,
        epoch=1000,
        pipeline="made up",
        kept={"before": kept, "trained": kept, "target": kept},
        early_stop=early,
        correlation={"init": correlation, "trained": correlation},
        barriers={"orders": {"train": 1.5, "test": 2.5}} if method.name == "elastic" else {},
        notes=built
        | {"drift": 0.01, "found_at": 5.0 + cell.seed, "distances": [0.2, 0.15, 0.1] + [0.05] * (1 + cell.seed)},
    )
    build = {"kind": "made up", "torch": "0"}
    how = Provenance(
        epochs_computed=1.0, epochs_reused=1.0, seconds=0.1, started="2026-01-01T00:00:00+00:00", host="h", build=build
    )
    return Record(result=result, provenance=how)
