"""Records as tidy tables: one row a run, and beside it tables of layers, kept networks, notes, correlations, right answers."""

import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lthbench.runs.records.record import Count, Provenance, Record, Refusal, Result, each, files


@dataclass(frozen=True)
class Results:
    """The records of a folder. `run` in every other table is the row number in `runs`.

    runs: a row a run, failed ones too. Accuracies in percent, NaN where there is none; `epochs` and `charged_*` are
        epochs charged, `epochs_computed` those that this machine had to compute; `speed_up` is the theoretical one,
        dense ÷ remaining multiplications; `collapsed_layers` have nothing left.
    layers: run, layer, removed, size.      kept: run, network, accuracy, sparsity.
    notes: run, note, position, value.      correlation: run, reference, p, value.
    images: run, correct: which of the test images were right, as `lthbench.bits` reads it; not of every run.
    """

    runs: pd.DataFrame
    layers: pd.DataFrame
    kept: pd.DataFrame
    notes: pd.DataFrame
    correlation: pd.DataFrame
    images: pd.DataFrame

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The runs that did not fail: what the statistics are computed from. The index is still the row in `runs`."""
        return self.runs[self.runs["status"] != "failed"]


TABLES = tuple(field.name for field in fields(Results))


def load_results(
    path: str | Path, *, refusal: Refusal = lambda result: None, skipped: list[str] | None = None
) -> Results:
    """The records of a run folder, a folder of `<method>.jsonl`, or one such file, as tables.

    A broken record is an InputError that names file and line; where a list `skipped` is given it is left out, and the
    message goes there.
    """
    path = Path(path)
    return tabulated(each([path] if path.is_file() else files(path), refusal, skipped))


def tabulated(records: Iterable[Record]) -> Results:
    """The tables of these records, which are read once and not kept."""
    rows: list[list[Any]] = []
    layers, names = array("q"), dict[str, int]()
    kept: list[tuple[Any, ...]] = []
    notes: list[tuple[Any, ...]] = []
    correlation: list[tuple[Any, ...]] = []
    images: list[tuple[Any, ...]] = []
    for run, record in enumerate(records):
        result = record.result
        rows.append([*_of_result(result), *_of_provenance(record.provenance)])
        for name, (removed, size) in result.layers.items():
            layers.extend((run, names.setdefault(name, len(names)), removed, size))
        kept += [(run, name, k.test.percent, _share(k.removed, result.prunable)) for name, k in result.kept.items()]
        for note, values in result.notes.items():
            notes += [(run, note, i, v) for i, v in enumerate(values if isinstance(values, list) else [values])]
        if result.correct is not None:
            images.append((run, result.correct))
        for reference, shares in result.correlation.items():
            correlation += [(run, reference, float(p), value) for p, value in shares.items()]
    return Results(
        runs=pd.DataFrame(rows, columns=[*_RESULT, *_PROVENANCE]),
        layers=_layers(layers, names),
        kept=pd.DataFrame(kept, columns=["run", "network", "accuracy", "sparsity"]),
        notes=pd.DataFrame(notes, columns=["run", "note", "position", "value"]),
        correlation=pd.DataFrame(correlation, columns=["run", "reference", "p", "value"]),
        images=pd.DataFrame(images, columns=["run", "correct"]),
    )


_RESULT = ["suite", "suite_version", "workload", "learning_rate", "sparsity", "method", "seed", "track", "control_of"]
_RESULT += ["status", "reason", "accuracy", "validation_accuracy", "train_accuracy", "classes", "n_test", "tolerance"]
_RESULT += ["removed", "prunable", "parameters_total", "multiplications", "speed_up", "collapsed_layers"]
_RESULT += ["epochs", "charged_train", "charged_score", "charged_validate", "apart", "budget"]
_RESULT += ["pipeline", "version", "parameters", "source", "ticket", "weights"]
_PROVENANCE = ["epochs_computed", "epochs_reused", "seconds", "started", "host", "device", "torch"]


def _of_result(r: Result) -> list[Any]:
    where = [r.suite, r.suite_version, r.workload, r.learning_rate, r.sparsity, r.method, r.seed, r.track, r.control_of]
    ended = r.status == "ok"
    accuracies = [_percent(count if ended else None) for count in (r.test, r.validation, r.train)]
    left, dense = r.multiplications or (None, None)
    network = [r.removed, r.prunable, r.parameters_total, left, _share(dense, left), len(r.collapsed_layers)]
    charged = [r.charged.get(phase, 0) / r.epoch for phase in ("train", "score", "validate")]
    epochs = [sum(r.charged.values()) / r.epoch, *charged, sum(r.apart.values()) / r.epoch, _share(r.budget, r.epoch)]
    made = [r.pipeline, r.version, json.dumps(r.parameters) if r.parameters else "", r.source, r.ticket, r.weights]
    meaning = [r.classes, r.test.of if r.test else 0, r.tolerance]
    return [*where, r.status, r.reason, *accuracies, *meaning, *network, *epochs, *made]


def _of_provenance(p: Provenance) -> list[Any]:
    machine = [p.build.get("kind", ""), p.build.get("torch", "")]
    return [p.epochs_computed, p.epochs_reused, p.seconds, p.started, p.host, *machine]


def _percent(count: Count | None) -> float:
    return count.percent if count else float("nan")


def _share(part: float | None, whole: float | None) -> float:
    return part / whole if part is not None and whole else float("nan")


def _layers(flat: "array[int]", names: dict[str, int]) -> pd.DataFrame:
    run, layer, removed, size = np.array(flat, dtype=np.int64).reshape(-1, 4).T
    named = pd.Categorical.from_codes(layer, categories=pd.Index(list(names), dtype=str))
    return pd.DataFrame({"run": run, "layer": named, "removed": removed, "size": size})
