"""Records: one JSON line a run. `result` follows from suite, method and build alone; `provenance` says how it came."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench.errors import InputError


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Count(_Strict):
    """So many of so many."""

    right: int
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.right / self.of


class Kept(_Strict):
    """A network that a method kept beside its result. `loss` as in Result."""

    test: Count
    train: Count | None = None
    loss: dict[str, float] = {}
    removed: int
    prunable: int | None = None
    ticket: str


class Result(_Strict):
    """What a run reached and what it was charged. The same bits under every executor and order, on one build.

    Accuracies are counts of right answers at the last epoch. `removed` of `prunable` weights of `parameters` parameters
    are gone; in a basis these are coefficients, and `zero_weights` says how many weights are 0 with them. `charged`,
    `apart` and `budget` are in training examples, `epoch` of which are one epoch. `loss` is the mean cross-entropy in nats
    by part of the data. `correlation` is R_p by the network that the result is compared with ("init" is where it descends
    from, others were kept), then by p; `barriers` are in percentage points of error by pair, then by part.
    """

    suite: str
    suite_version: str
    suite_hash: str
    workload: str
    dataset: str
    fingerprints: dict[str, str]
    classes: int
    tolerance: float
    learning_rate: float
    sparsity: float
    seed: int
    method: str
    version: str
    parameters: dict[str, int | float | bool | str | None]
    source: str
    track: Literal["one-shot", "iterative", "dense"]
    control_of: str | None
    status: Literal["ok", "failed", "diverged"]
    reason: str | None = None
    test: Count | None = None
    validation: Count | None = None
    train: Count | None = None
    loss: dict[str, float] = {}
    removed: int | None = None
    prunable: int | None = None
    parameters_total: int | None = None
    layers: dict[str, tuple[int, int]] = {}
    multiplications: tuple[int, int] | None = None
    ticket: str | None = None
    weights: str | None = None
    zero_weights: int | None = None
    charged: dict[str, int]
    apart: dict[str, int] = {}
    budget: int | None
    epoch: int
    pipeline: str
    kept: dict[str, Kept] = {}
    correlation: dict[str, dict[str, float]] = {}
    barriers: dict[str, dict[str, float]] = {}
    notes: dict[str, float | list[float]] = {}

    @property
    def collapsed_layers(self) -> list[str]:
        """Prunable parameters of which nothing is left."""
        return [name for name, (removed, size) in self.layers.items() if removed == size]


class Provenance(_Strict):
    """How a record came to be."""

    epochs_computed: float
    epochs_reused: float
    seconds: float
    started: str
    host: str
    build: dict[str, str]


class Record(_Strict):
    """One line of a results file."""

    schema_version: Literal[1] = 1
    result: Result
    provenance: Provenance

    @property
    def name(self) -> tuple[str, str, float, float, int]:
        """Which run this is: method, workload, learning rate, sparsity, seed."""
        r = self.result
        return r.method, r.workload, r.learning_rate, r.sparsity, r.seed

    def line(self) -> str:
        """The JSON line, keys in a fixed order."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False)


def lines_of(path: Path) -> list[str]:
    """The lines of a JSON-lines file; only a newline ends one."""
    return [line for line in path.read_text().split("\n") if line]


def parse(line: str, where: str) -> Record:
    """One record. InputError names file and line, and what is wrong."""
    try:
        return Record.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "line"
        raise InputError(f"{where}: no record: {field}: {first['msg']}") from None


def read(paths: Iterable[Path]) -> list[Record]:
    """All records of some files, in order. InputError for a broken line, or two records of one run."""
    records: list[Record] = []
    seen: dict[Any, str] = {}
    for path in paths:
        for number, line in enumerate(lines_of(path), 1):
            where = f"{path}:{number}"
            record = parse(line, where)
            name = (record.result.suite, record.result.suite_version, *record.name)
            if name in seen:
                raise InputError(f"{where}: the run is in {seen[name]} already; keep one of the two")
            seen[name] = where
            records.append(record)
    return records


def in_folder(folder: Path) -> list[Record]:
    """The records of one results folder: `<method>.jsonl` in it, or in its `records/`."""
    inner = folder / "records" if (folder / "records").is_dir() else folder
    paths = sorted(inner.glob("*.jsonl"))
    if not paths:
        raise InputError(f"there are no records (*.jsonl) in {folder}; lthbench run SUITE --out {folder} makes some")
    return read(paths)


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """The records as a table for the statistics, one row a run; accuracies in percent, NaN where diverged.

    Failed runs have no row. Columns: suite, workload, learning_rate, sparsity, method, seed, accuracy,
    validation_accuracy, status, epochs, classes, n_test, tolerance.
    """
    rows = [_row(record.result) for record in records if record.result.status != "failed"]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_GRID = ("suite", "workload", "learning_rate", "sparsity", "method", "seed")
_COLUMNS = (*_GRID, "accuracy", "validation_accuracy", "status", "epochs", "classes", "n_test", "tolerance")


def _row(r: Result) -> list[Any]:
    accuracy = r.test.percent if r.test and r.status == "ok" else float("nan")
    validation = r.validation.percent if r.validation and r.status == "ok" else float("nan")
    grid = [r.suite, r.workload, r.learning_rate, r.sparsity, r.method, r.seed]
    return [
        *grid,
        accuracy,
        validation,
        r.status,
        sum(r.charged.values()) / r.epoch,
        r.classes,
        r.test.of if r.test else 0,
        r.tolerance,
    ]
