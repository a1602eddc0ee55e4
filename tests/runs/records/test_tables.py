"""Results: the tables that records become."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel

import lthbench
from lthbench.runs.records.record import Count, EarlyStop, Kept, LearningCurve, Record
from lthbench.runs.records.tables import TABLES, tabulated
from tests.runs.records.test_records import record, written

GONE: dict[str, Any] = dict.fromkeys(("test", "correct", "validation", "train")) | {"status": "failed", "reason": "x"}


def test_a_run_is_a_row_in_percent_and_epochs() -> None:
    [row] = tabulated([record()]).runs.to_dict("records")
    assert row["accuracy"] == 90.0
    assert row["validation_accuracy"] == 100 * 120 / 130
    assert row["n_test"] == 500
    assert row["epochs"] == 2434 / 1167
    assert (row["charged_train"], row["charged_score"], row["budget"]) == (2.0, 100 / 1167, 4.0)
    assert (row["multiplications"], row["multiplications_saved"], row["collapsed_layers"]) == (1, 10.0, 0)
    assert (row["epochs_computed"], row["device"], row["parameters"][:12]) == (1.0, "", '{"rate": 0.2')


def test_chance_is_that_of_the_largest_class_or_of_balanced_ones() -> None:
    assert tabulated([record(classes=4), record(seed=1, classes=4, chance=0.7)]).runs["chance"].tolist() == [25.0, 70.0]


def test_the_other_tables_point_to_their_run() -> None:
    results = tabulated([record(seed=1, layers={}, notes={}, kept={}), record(layers={"a": (9, 10), "b": (4, 4)})])
    assert results.layers.to_dict("list") == {"run": [1, 1], "layer": ["a", "b"], "removed": [9, 4], "size": [10, 4]}
    [kept] = results.kept.to_dict("records")
    assert kept == kept | {"run": 1, "network": "early", "accuracy": 50.0, "sparsity": 0.0, "mask_digest": "23"}
    assert results.notes.value.tolist() == [1.5, 1.0, 2.0]
    assert results.notes.position.tolist() == [0, 0, 1]
    assert results.runs.collapsed_layers.tolist() == [0, 1]


def test_failed_runs_are_not_scored_and_diverged_ones_have_no_accuracy() -> None:
    results = tabulated(
        [record(**GONE), record(seed=1, status="diverged", reason="x"), record(seed=2, validation=None)]
    )
    assert results.runs.seed.tolist() == [0, 1, 2]
    assert results.scored.seed.tolist() == [1, 2]
    assert results.scored.accuracy.isna().tolist() == [True, False]
    assert results.scored.validation_accuracy.isna().all()
    assert list(tabulated([]).runs.columns) == list(results.runs.columns)


@pytest.mark.parametrize("as_folder", [True, False])
def test_load_results_from_a_folder_or_a_file(tmp_path: Path, as_folder: bool) -> None:
    path = written(tmp_path, record(), record(seed=1))
    results = lthbench.load_results(tmp_path if as_folder else path)
    assert results.runs.seed.tolist() == [0, 1]
    assert math.isclose(results.runs.learning_rate[0], 0.1)


@pytest.mark.parametrize("name", TABLES)
def test_tables_survive_parquet(tmp_path: Path, name: str) -> None:
    table = getattr(tabulated([record(), record(seed=1)]), name)
    table.to_parquet(tmp_path / "x.parquet", index=False)
    again = pd.read_parquet(tmp_path / "x.parquet")
    assert again.astype(str).equals(table.astype(str))


def full() -> Record:
    """A record in which every field has a value."""
    count = Count(right=1, of=2)
    kept = Kept(test=count, correct="k", train=count, loss={"test": 0.5}, removed=1, prunable=2, ticket="m")
    stop = EarlyStop(step=1, loss=0.5, validation=count, test=count)
    curve = LearningCurve(first=1, epoch=1, losses=[0.5, 0.25], points=[(2, 0.5, 1)], held_out=4)
    plain = record(
        chance=0.5, control_of="other", reason="why", loss={"test": 0.5, "validation": 0.25, "train": 0.5}, compact=(1, 2),
        zero_weights=1, apart={"source": 2}, kept={"early": kept}, correlation={"init": {"0.5": 0.5}},
        barriers={"a:b": {"test": 0.5}}, early_stop=stop,
    )  # fmt: skip
    how = {"cpu": {"method": 0.5}, "seen": {"train": 2}, "curve": curve}
    return plain.model_copy(update={"provenance": plain.provenance.model_copy(update=how)})


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every number and text inside a record. An empty field is an error: `full` must fill it."""
    assert value is not None and value not in ({}, []), f"give {path} a value in full()"
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from leaves(getattr(value, name), (*path, name))
    elif isinstance(value, dict | list | tuple):
        for key in value if isinstance(value, dict) else range(len(value)):
            if value[key] is not None:
                yield from leaves(value[key], (*path, key))
    else:
        yield path


def changed(value: Any, path: tuple[Any, ...]) -> Any:
    """Return a record with another number or text at the path. It is not validated."""
    if not path:
        return not value if isinstance(value, bool) else f"{value}x" if isinstance(value, str) else value + 1
    first, *rest = path
    if isinstance(value, BaseModel):
        return value.model_copy(update={first: changed(getattr(value, first), tuple(rest))})
    if isinstance(value, dict):
        return value | {first: changed(value[first], tuple(rest))}
    return type(value)([*value[:first], changed(value[first], tuple(rest)), *value[first + 1 :]])


@pytest.mark.parametrize(
    "path", [p for p in leaves(full()) if p != ("schema_version",)], ids=lambda p: ".".join(map(str, p))
)
def test_everything_on_a_record_is_in_a_table(path: tuple[Any, ...]) -> None:
    a, b = tabulated([full()]), tabulated([changed(full(), path)])
    assert not all(getattr(a, table).equals(getattr(b, table)) for table in TABLES)
