"""Records: one JSON line a run, read back as they were or refused by file and line."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lthbench import bits
from lthbench.errors import InputError
from lthbench.runs.records.record import Count, Kept, Provenance, Record, Result, each, in_folder, parse, read
from tests.runs.helpers import Outcome

CORRECT = np.arange(500) < 450


def record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "suite": "tiny",
        "suite_version": "0.1",
        "suite_hash": "ab",
        "workload": "mlp-16/digits",
        "dataset": "digits",
        "fingerprints": {"train": "t", "test": "u"},
        "classes": 10,
        "tolerance": 0.5,
        "learning_rate": 0.1,
        "sparsity": 0.9,
        "seed": 0,
        "method": "ticket",
        "version": "0.1.0",
        "parameters": {"rate": 0.2, "rewind": 1, "name": "x", "flag": True, "none": None},
        "source": "cd",
        "track": "one-shot",
        "control_of": None,
        "status": "ok",
        "test": Count(right=450, of=500),
        "correct": bits.text(CORRECT),
        "validation": Count(right=120, of=130),
        "train": Count(right=1100, of=1167),
        "removed": 9,
        "prunable": 10,
        "parameters_total": 12,
        "layers": {"a": (9, 10)},
        "multiplications": (1, 10),
        "ticket": "ef",
        "weights": "01",
        "charged": {"train": 2334, "score": 100, "validate": 0},
        "budget": 4668,
        "epoch": 1167,
        "pipeline": "init → train 2",
        "kept": {"early": Kept(test=Count(right=1, of=2), removed=0, ticket="23")},
        "notes": {"x": 1.5, "y": [1.0, 2.0]},
    }
    how = Provenance(
        epochs_computed=1.0,
        epochs_reused=1.0,
        seconds=0.1,
        started="2026-01-31T12:00:00+00:00",
        host="h",
        build={"device": "cpu"},
    )
    return Record(result=Result(**(fields | changes)), provenance=how)


def written(folder: Path, *records: Record, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(r.line() + "\n" for r in records))
    return path


def test_round_trip() -> None:
    one = record()
    assert parse(one.line(), "x") == one
    assert parse(one.line(), "x").line() == one.line()
    assert "\n" not in one.line()


def test_real_records_round_trip(whole: Outcome) -> None:
    assert [parse(r.line(), "x") for r in whole.records] == whole.records
    assert sorted(in_folder(whole.out), key=lambda r: r.run_id) == sorted(whole.records, key=lambda r: r.run_id)


def test_files_hold_one_method_each_in_the_order_of_the_grid(whole: Outcome) -> None:
    for path in (whole.out / "records").iterdir():
        names = [r.run_id for r in read([path])]
        assert {name.method for name in names} == {path.stem}
        assert names == sorted(names)


@settings(derandomize=True, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(codec="ascii")))
def test_any_number_and_reason_survives(number: float, reason: str) -> None:
    one = record(notes={"x": number}, reason=reason)
    assert parse(one.line(), "x") == one
    assert len(one.line().splitlines()) == 1


@pytest.mark.parametrize("break_", ["\x85", "\u2028", "\u2029"])
def test_a_reason_with_an_odd_line_break_can_be_read_again(tmp_path: Path, break_: str) -> None:
    one = record(status="failed", reason=f"ValueError: a{break_}b")
    assert read([written(tmp_path, one)]) == [one]


@pytest.mark.parametrize(
    ("break_it", "what"),
    [
        (lambda d: d["result"].pop("seed"), "result.seed: Field required"),
        (lambda d: d["result"].update(seed="0"), "result.seed: Input should be a valid integer"),
        (lambda d: d["result"].update(status="fine"), "result.status: Input should be 'ok', 'failed' or 'diverged'"),
        (lambda d: d["result"].update(sparsity=math.nan), "result.sparsity: Input should be a finite number"),
        (lambda d: d["result"].update(extra=1), "result.extra: Extra inputs are not permitted"),
        (lambda d: d.update(schema_version=2), "schema_version: Input should be 1"),
        (
            lambda d: d["result"].update(test={"right": 449, "of": 500}),
            "result.correct: has 450 bits set, but 449 test answers are right",
        ),
        (lambda d: d["result"].update(test={"right": 450, "of": 505}), "result.correct: is not 505 bits"),
        (lambda d: d["result"].update(correct="*"), "result.correct: is not base64"),
        (lambda d: d["result"].update(test=None), "result.correct: is given without a count of right test answers"),
        (
            lambda d: d["provenance"].update(started="yesterday"),
            "provenance.started: 'yesterday' is not a date and time as 2026-01-31T12:00:00+00:00",
        ),
        (
            lambda d: d["provenance"].update(curve={"first": 0, "epoch": 9, "losses": [], "points": [[9, 1.0, 5]]}),
            "provenance.curve: has points on held-out examples, but held_out is 0",
        ),
    ],
)
def test_a_broken_record_is_refused_by_file_and_line(tmp_path: Path, break_it: Any, what: str) -> None:
    content = json.loads(record().line())
    break_it(content)
    path = written(tmp_path, record(seed=1))
    path.write_text(path.read_text() + json.dumps(content) + "\n")
    with pytest.raises(InputError) as error:
        read([path])
    assert str(error.value) == f"{path}:2: not a record: {what}; --skip-broken goes on without it"


@pytest.mark.parametrize("line", ["{", "[]", "null", record().line()[:-20]])
def test_half_a_line_is_refused(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, record(seed=1), record(seed=2))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"a\.jsonl:3: not a record: line: "):
        read([path])


def test_two_records_of_one_run_are_refused(tmp_path: Path) -> None:
    first, second = written(tmp_path, record()), written(tmp_path, record(seed=1), record(), name="b.jsonl")
    with pytest.raises(InputError, match=r"b\.jsonl:2: the run is in .*a\.jsonl:1 already; keep one of the two"):
        read([first, second])
    assert len(read([first, written(tmp_path, record(suite="other"), record(seed=3), name="c.jsonl")])) == 3


def test_broken_lines_are_left_out_only_when_asked(tmp_path: Path) -> None:
    path = written(tmp_path, record(), record(), record(seed=1), record(seed=2, suite_hash="cd"))
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n" + record(seed=3).line()[:-5].encode())
    skipped: list[str] = []
    found = each([path], lambda result: "other text" if result.suite_hash == "cd" else None, skipped)
    assert [r.result.seed for r in found] == [0, 1]
    assert [message.split(": ")[0] for message in skipped] == [f"{path}:{line}" for line in (2, 4, 5, 6)]
    with pytest.raises(InputError, match=r"a\.jsonl:2: "):
        list(each([path]))


def test_folder_without_records(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there are no records .* lthbench run SUITE --out"):
        in_folder(tmp_path)
    written(tmp_path, record())
    assert in_folder(tmp_path) == [record()]


def test_a_record_without_the_answers_to_single_images_is_one() -> None:
    content = json.loads(record().line())
    del content["result"]["correct"]
    assert parse(json.dumps(content), "x") == record(correct=None)


def test_the_time_of_a_run_may_be_unknown() -> None:
    """As of the published records of a bundle, of whose times nobody knows anything."""
    content = json.loads(record().line())
    assert parse(json.dumps(content), "x").provenance.ended == datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() + 0.1
    content["provenance"]["started"] = ""
    assert parse(json.dumps(content), "x").provenance.ended == 0


def test_collapsed_layers() -> None:
    layers = {"a": (10, 10), "b": (9, 10)}
    assert record(layers=layers).result.collapsed_layers == ["a"]
