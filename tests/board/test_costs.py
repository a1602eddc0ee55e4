"""Accuracy against cost: the front, measured latencies, and their chart on the page."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page

from lthbench.board.build import analysis_of, build
from lthbench.board.costs import AXES, NOT_MEASURED, front, latencies, with_costs
from lthbench.errors import InputError

ROOT = Path(__file__).parent.parent.parent
Opened = Callable[..., Page]

CELLS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5) | st.none()), max_size=12)


@given(CELLS)
def test_the_front_has_the_rows_that_no_other_beats(cells: list[tuple[int, int | None]]) -> None:
    rows = pd.DataFrame(
        {"mean": [float(m) for m, _ in cells], "cost": [np.nan if c is None else float(c) for _, c in cells]}
    )
    found = front(rows, "cost")
    for i, (mean, cost) in enumerate(cells):
        others = [(m, c) for m, c in cells if c is not None]
        beaten = cost is None or any(c <= cost and m >= mean and (c < cost or m > mean) for m, c in others)
        assert not (found[i] and beaten)
        if not beaten:
            assert any(found[j] for j, (m, c) in enumerate(cells) if (m, c) == (mean, cost))


def written(folder: Path, **changes: Any) -> Path:
    run = {
        "method": "lottery-ticket",
        "workload": "mlp-300-100/mnist",
        "learning_rate": 0.1,
        "sparsity": 0.9,
        "seed": 0,
    }
    row = {"form": "compact", "runtime": "torch", "batch": 1, "threads": 1, "median": 2.0, "low": 1.9, "high": 2.1}
    row |= {"speed_up": 2.0, "parameters": 9, "size": 99} | changes
    (folder / "latency").mkdir(parents=True, exist_ok=True)
    path = folder / "latency/one.json"
    path.write_text(json.dumps({"run": run, "machine": {"kind": "a machine"}, "rows": [row, row | {"form": "dense"}]}))
    return path


def test_a_measured_latency_is_the_cost_of_its_row_and_no_other(tmp_path: Path) -> None:
    written(tmp_path)
    scores = analysis_of(ROOT / "leaderboard/results/mnist").scores
    rows = with_costs(scores, latencies(tmp_path))
    known = rows[rows["latency"].notna()]
    assert known[["method", "learning_rate", "sparsity", "latency"]].values.tolist() == [
        ["lottery-ticket", 0.1, 0.9, 0.5]
    ]
    assert known["front_latency"].all() and rows["front_latency"].sum() == 1
    assert with_costs(scores, NOT_MEASURED)["latency"].isna().all()


def test_a_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    written(tmp_path, batch="one")
    with pytest.raises(InputError, match="is not from lthbench latency"):
        latencies(tmp_path)


def test_a_file_that_does_not_say_which_run_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"run": content["run"] | {"suite": "mnist"}}))
    assert latencies(tmp_path)["method"].tolist() == ["lottery-ticket"] * 2  # a file may say more of the run
    del content["run"]["seed"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"is not from lthbench latency: .*run.seed"):
        latencies(tmp_path)


def test_the_page_draws_every_cost_and_keeps_the_choice_in_its_address(opened: Opened, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "leaderboard/results/mnist", tmp_path / "results/mnist")
    written(tmp_path / "results/mnist")
    build(tmp_path)
    page = opened(tmp_path / "site/mnist.html")
    assert page.locator("#axis option").count() == len(AXES)
    for axis in AXES:
        page.select_option("#axis", axis)
        page.wait_for_function(
            f"document.querySelector('#cost-panels svg')?.textContent.includes({json.dumps(AXES[axis])})"
        )
    assert "axis=latency" in page.url
    assert page.locator("#cost-panels figure").count() == 1  # the other learning rate has no latency
    assert page.locator("#costs tbody tr").count() == 2
