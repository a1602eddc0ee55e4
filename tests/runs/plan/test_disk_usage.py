"""Estimates of store entries: never too low, and of the right size."""

from pathlib import Path
from typing import Any

import pytest

from lthbench.runs.plan import disk_usage
from lthbench.runs.store.store import Store
from lthbench.training.rules import Movement
from tests.helpers import mlp, states, trajectory

CASES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adam": {"optimizer": "adam"},
    "adamw and trained scores": {"optimizer": "adamw", "rule": Movement(0.5, every=2)},
}


@pytest.mark.parametrize("name", CASES)
def test_a_state_takes_what_was_estimated_and_hardly_less(name: str, tmp_path: Path) -> None:
    t = trajectory(mlp("mlp-2000-60"), **CASES[name])
    store = Store(tmp_path, "here")
    for stop, state in states(t, [4, 9]).items():
        store.write_state(f"{stop}", state, stop)
        taken, estimated = store.path("states", f"{stop}").stat().st_size, disk_usage.state(t, stop)
        assert taken <= estimated
        assert estimated < 1.25 * taken or (stop == 9 and t.rule), "the last state of a rule keeps less than the others"
