"""Records of another version of a method's file, beside those of a plan."""

from dataclasses import replace
from pathlib import Path

import pytest

from lthbench.data import DataHome
from lthbench.runs.plan.plan import Plan
from tests.runs.helpers import chance, dense, drive, method, planned, tiny


def test_older_runs_are_counted_by_method(tmp_path: Path, home: DataHome, caplog: pytest.LogCaptureFixture) -> None:
    suite = tiny(sparsities=(0.5,), seeds=3)
    methods = [method(dense, track="dense"), method(chance)]
    drive(suite, methods, tmp_path, home)
    changed = [replace(one, source="changed") for one in methods]
    left_out = {("dense", 1), ("dense", 2), ("chance", 2)}
    part = [run for run in planned(suite, changed, home).runs if (run.method.name, run.cell.seed) not in left_out]
    drive(suite, changed, tmp_path, home, plan=Plan(part), partial=True)
    assert "2 runs of dense are of another version" in caplog.text
    assert "1 runs of chance are of another version" in caplog.text
