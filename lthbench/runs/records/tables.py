"""Records as tidy tables: one row a run, and the tables beside it. Everything on a record is in one of them."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lthbench.runs.records.columns import RUN_COLUMNS
from lthbench.runs.records.parts import PARTS
from lthbench.runs.records.record import Record, Refusal, each, files


@dataclass(frozen=True, repr=False)
class Tables:
    """Records as tables. `run` in every other table is the row number in `runs`.

    runs: a row a run, failed ones too; its columns are RUN_COLUMNS, each with its meaning.
    layers: run, layer, removed, size.
    kept: run, network, accuracy, sparsity, train_accuracy, losses (test, validation, train), removed, prunable, mask_digest,
        correct.
    notes: run, note, position, value.
    correlation: run, reference, p, value.
    barriers: run, pair, part, value: error barriers between two networks, in percentage points of error.
    images: run, correct: the test images with a correct answer, as `lthbench.bits` reads it; not of every run.
    curves: run, step, training_loss (mean of the epoch that ends there), validation_loss, validation_accuracy.
    costs: run, account, part, value: what was charged, was off the budget and was seen, in examples; CPU time, in seconds.
    """

    runs: pd.DataFrame
    layers: pd.DataFrame
    kept: pd.DataFrame
    notes: pd.DataFrame
    correlation: pd.DataFrame
    barriers: pd.DataFrame
    images: pd.DataFrame
    curves: pd.DataFrame
    costs: pd.DataFrame

    @cached_property
    def scored(self) -> pd.DataFrame:
        """Return the runs that did not fail. Statistics use these. The index is still the row in `runs`."""
        return self.runs[self.runs["status"] != "failed"]

    def __repr__(self) -> str:
        """Return one line: the number of runs."""
        return f"<Tables of {len(self.runs):,} runs>"

    def where(self, wanted: pd.Series) -> "Tables":
        """Return the tables of the runs for which `wanted`, which has the index of `runs`, is true."""
        runs = self.runs[wanted]
        others = {name: getattr(self, name) for name in TABLES if name != "runs"}
        return Tables(runs, **{name: table[table["run"].isin(runs.index)] for name, table in others.items()})


TABLES = tuple(field.name for field in fields(Tables))


def read_tables(
    path: str | Path, *, refusal: Refusal = lambda result: None, skipped: list[str] | None = None
) -> Tables:
    """Return the records of a run folder, a folder of `<method>.jsonl`, or one such file, as tables.

    A broken record is an InputError that names file and line. Where a list `skipped` is given, the record is left out and
    the message is appended to the list.
    """
    path = Path(path)
    return tabulated(each([path] if path.is_file() else files(path), refusal, skipped))


def tabulated(records: Iterable[Record]) -> Tables:
    """Return the tables of these records. The records are read once and not kept."""
    rows: list[list[Any]] = []
    layers, names = array("q"), dict[str, int]()
    parts: dict[str, list[tuple[Any, ...]]] = {name: [] for name in PARTS}
    for run, record in enumerate(records):
        rows.append([column.of(record) for column in RUN_COLUMNS])
        for name, (removed, size) in record.result.layers.items():
            layers.extend((run, names.setdefault(name, len(names)), removed, size))
        for name, part in PARTS.items():
            parts[name] += [(run, *row) for row in part.rows(record)]
    others = {name: pd.DataFrame(parts[name], columns=["run", *part.columns]) for name, part in PARTS.items()}
    runs = pd.DataFrame(rows, columns=[column.name for column in RUN_COLUMNS])
    return Tables(runs=runs, layers=_layers(layers, names), **others)


def _layers(flat: "array[int]", names: dict[str, int]) -> pd.DataFrame:
    run, layer, removed, size = np.array(flat, dtype=np.int64).reshape(-1, 4).T
    named = pd.Categorical.from_codes(layer, categories=pd.Index(list(names), dtype=str))
    return pd.DataFrame({"run": run, "layer": named, "removed": removed, "size": size})
