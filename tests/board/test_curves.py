"""Learning curves on the board: tickets, controls and dense networks with bands over the seeds, thinned for the page."""

import re
from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lthbench.board import charts
from lthbench.board.analysis import Analysis
from lthbench.board.curves import MOST, curve_rows
from lthbench.board.export.figures import drawn
from lthbench.board.export.tensorboard import writing
from lthbench.runs.records.record import LearningCurve, Provenance, Record
from lthbench.runs.records.tables import tabulated
from lthbench.suite import Suite
from tests.runs.records.test_records import record

STEPS = 500


def one(method: str, seed: int, sparsity: float, loss: float, **changes: object) -> Record:
    """Return a record whose losses are all the same number: 5 epochs of 100 steps, 500 looks at held-out examples."""
    plain = record(method=method, seed=seed, sparsity=sparsity, **changes)
    points = [(step, loss / 2, 65) for step in range(1, STEPS + 1)]
    curve = LearningCurve(first=0, epoch=100, losses=[loss] * 5, points=points, held_out=130)
    shown = {"curve": curve, "started": "2026-01-01T00:00:00+00:00"}
    return plain.model_copy(update={"provenance": plain.provenance.model_copy(update=shown)})


@pytest.fixture(scope="module")
def records() -> list[Record]:
    found = []
    for seed in range(3):
        for sparsity in (0.5, 0.9, 0.98):
            found.append(one("lottery-ticket", seed, sparsity, 1.0 + seed + sparsity, control_of=None))
            found.append(one("random-reinit", seed, sparsity, 2.0 + seed, control_of="lottery-ticket"))
            found.append(one("prune-finetune", seed, sparsity, 9.0, control_of=None))
        found.append(one("dense", seed, 0.0, 0.5, track="dense", control_of=None))
    return found


@pytest.fixture(scope="module")
def rows(records: list[Record]) -> pd.DataFrame:
    return curve_rows(Analysis(Suite.read("digits"), tabulated(records)))


def test_rows_are_of_tickets_controls_and_dense_networks_at_one_sparsity(rows: pd.DataFrame) -> None:
    assert set(zip(rows["method"], rows["sparsity"], strict=True)) == {
        ("dense", 0.0), ("lottery-ticket", 0.9), ("random-reinit", 0.9),
    }  # fmt: skip


def test_bands_reach_from_the_lowest_to_the_highest_seed(rows: pd.DataFrame) -> None:
    ticket = rows[(rows["method"] == "lottery-ticket") & (rows["part"] == "training")]
    assert ticket["step"].tolist() == [100, 200, 300, 400, 500]
    assert ticket[["mean", "min", "max", "count"]].round(9).to_numpy().tolist() == [[2.9, 1.9, 3.9, 3]] * 5


def test_a_line_is_thinned_and_keeps_its_end(rows: pd.DataFrame) -> None:
    for _, line in rows[rows["part"] == "held-out"].groupby("method"):
        assert len(line) <= MOST and line["step"].max() == STEPS
        assert line["step"].diff().dropna().nunique() == 1


def test_the_chart_has_a_line_and_a_band_for_every_method(rows: pd.DataFrame) -> None:
    svg = drawn(charts.curve_panels(rows), "svg").decode()
    assert all(name in svg for name in ("lottery-ticket", "random-reinit", "dense", "held-out", "90 % removed"))
    assert svg.count("mark-area") >= 1 and svg.count("mark-line") >= 1


def test_methods_stand_and_are_coloured_as_on_the_rest_of_the_page() -> None:
    """The suite's order is by number of examples, which is not that of the alphabet."""
    suite = Suite.read("wolfe2021-mnist")
    names = [f"dense-few[examples={few}]" for few in (1000, 3000, 10000, 30000)]
    made = [one(name, seed, 0.0, 1.0, track="dense", control_of=None) for name in reversed(names) for seed in range(2)]
    analysis = Analysis(suite, tabulated(made))
    rows = curve_rows(analysis)
    assert list(dict.fromkeys(rows["method"])) == names == analysis.methods
    svg = drawn(charts.curve_panels(rows), "svg").decode()
    assert re.findall(r"<text[^>]*>(dense-few[^<]*)</text>", svg) == names


def test_records_without_curves_have_no_rows() -> None:
    assert curve_rows(Analysis(Suite.read("digits"), tabulated([record()]))).empty
    assert curve_rows(Analysis(Suite.read("digits"), tabulated([]))).empty


def test_tensorboard_has_the_curve_by_step(tmp_path: Path, records: list[Record]) -> None:
    with writing(tmp_path, Suite.read("digits"), True) as event:
        event(records[0])
    [file] = (tmp_path / "tensorboard" / "runs").rglob("events.*")
    board = EventAccumulator(str(file.parent)).Reload()
    assert [(e.step, round(e.value, 5)) for e in board.Scalars("training loss by step")] == [
        (step, 1.5) for step in (100, 200, 300, 400, 500)
    ]
    assert len(board.Scalars("validation loss by step")) == len(board.Scalars("validation accuracy by step")) == STEPS
    assert board.Scalars("validation accuracy by step")[0].value == 50.0


def test_a_curve_is_read_back_from_its_line(records: list[Record]) -> None:
    again = Record.model_validate_json(records[0].line())
    assert again.provenance.curve == records[0].provenance.curve
    assert "curve" not in record().line() and Provenance.model_fields["curve"].default is None
