"""Records as tidy tables: one row a run, and tables of layers, kept networks, notes, correlations, barriers, answers, curves."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lthbench.runs.records.columns import RUN_COLUMNS, share
from lthbench.runs.records.record import Record, Refusal, each, files


@dataclass(frozen=True, repr=False)
class Tables:
    """Records as tables. `run` in every other table is the row number in `runs`.

    runs: a row a run, failed ones too; its columns are RUN_COLUMNS, each with its meaning.
    layers: run, layer, removed, size.      kept: run, network, accuracy, sparsity.
    notes: run, note, position, value.      correlation: run, reference, p, value.
    barriers: run, pair, part, value: error barriers between two networks, in percentage points of error.
    images: run, correct: the test images with a correct answer, as `lthbench.bits` reads it; not of every run.
    curves: run, step, training_loss (mean of the epoch that ends there), validation_loss, validation_accuracy.
    """

    runs: pd.DataFrame
    layers: pd.DataFrame
    kept: pd.DataFrame
    notes: pd.DataFrame
    correlation: pd.DataFrame
    barriers: pd.DataFrame
    images: pd.DataFrame
    curves: pd.DataFrame

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
    kept: list[tuple[Any, ...]] = []
    notes: list[tuple[Any, ...]] = []
    correlation: list[tuple[Any, ...]] = []
    barriers: list[tuple[Any, ...]] = []
    images: list[tuple[Any, ...]] = []
    curves: list[tuple[Any, ...]] = []
    for run, record in enumerate(records):
        result = record.result
        rows.append([column.of(record) for column in RUN_COLUMNS])
        for name, (removed, size) in result.layers.items():
            layers.extend((run, names.setdefault(name, len(names)), removed, size))
        kept += [(run, name, k.test.percent, share(k.removed, result.prunable)) for name, k in result.kept.items()]
        for note, values in result.notes.items():
            notes += [(run, note, i, v) for i, v in enumerate(values if isinstance(values, list) else [values])]
        for pair, parts in result.barriers.items():
            barriers += [(run, pair, part, value) for part, value in parts.items()]
        if result.correct is not None:
            images.append((run, result.correct))
        if record.provenance.curve:
            curves += [(run, *point) for point in record.provenance.curve.rows]
        for reference, shares in result.correlation.items():
            correlation += [(run, reference, float(p), value) for p, value in shares.items()]
    return Tables(
        runs=pd.DataFrame(rows, columns=[column.name for column in RUN_COLUMNS]),
        layers=_layers(layers, names),
        kept=pd.DataFrame(kept, columns=["run", "network", "accuracy", "sparsity"]),
        notes=pd.DataFrame(notes, columns=["run", "note", "position", "value"]),
        correlation=pd.DataFrame(correlation, columns=["run", "reference", "p", "value"]),
        barriers=pd.DataFrame(barriers, columns=["run", "pair", "part", "value"]),
        images=pd.DataFrame(images, columns=["run", "correct"]),
        curves=pd.DataFrame(curves, columns=["run", "step", "training_loss", "validation_loss", "validation_accuracy"]),
    )


def _layers(flat: "array[int]", names: dict[str, int]) -> pd.DataFrame:
    run, layer, removed, size = np.array(flat, dtype=np.int64).reshape(-1, 4).T
    named = pd.Categorical.from_codes(layer, categories=pd.Index(list(names), dtype=str))
    return pd.DataFrame({"run": run, "layer": named, "removed": removed, "size": size})
