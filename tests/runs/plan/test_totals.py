"""Sums of a plan: those of one seed, multiplied, are those of the whole plan, and disk is as large as they say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lthbench import Network, Run, magnitude
from lthbench.data import DataHome
from lthbench.methods.internals.setting import settings as manifests
from lthbench.methods.registry import Method
from lthbench.runs.plan.plan import Plan, outline, plan
from lthbench.runs.plan.planned_run import PlannedRun, Step
from lthbench.runs.plan.totals import PlanTotals
from lthbench.suite import Cell
from lthbench.suite.workload import Workload
from tests.helpers import same_sums
from tests.runs.helpers import METHODS, TINY, chance, drive, method, store_in, tiny
from tests.runs.plan.test_plan import chooser, early, looker, twice_over


def borrowed(run: Run) -> Network:
    """Starts from the training of another workload's model, which that workload shares."""
    small = run.train(run.init(model="mlp-16"))
    return run.train(small.masked(run.select(magnitude(small))).at(0))


def warm(run: Run) -> Network:
    """Trains at a rate of its own first, which all learning rates share."""
    net = run.train(run.init(), recipe=run.recipe.replace(lr=0.05), until=1)
    return run.train(net.masked(run.select(magnitude(net))))


POOL = [
    *METHODS,
    *map(method, (borrowed, warm, early, chooser, looker, twice_over)),
    replace(method(chance), name="control", control_of="ticket"),
]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    methods=st.lists(st.sampled_from(POOL), min_size=1, max_size=5, unique_by=lambda m: m.name),
    models=st.lists(st.sampled_from(["mlp-16", "mlp-8", "mlp-16-16"]), min_size=1, max_size=2, unique=True),
    rates=st.lists(st.sampled_from([0.1, 0.05, 0.01]), min_size=1, max_size=2, unique=True),
    sparsities=st.lists(st.sampled_from([0.3, 0.5, 0.9]), min_size=1, max_size=3, unique=True),
    seeds=st.integers(1, 4) | st.just((1, 3)),
    budget=st.sampled_from(["2T", "T", "none", "(n+1)T"]),
    controls=st.booleans(),
)
def test_one_seed_stands_for_all_in_any_suite(
    home: DataHome, methods: list[Method], models: list[str], controls: bool, sparsities: list[float], **grid: Any
) -> None:
    workloads = tuple(Workload(model=model, dataset="digits") for model in models)
    rates = tuple(grid.pop("rates"))
    on = tuple(sparsities[:1]) if controls else ()
    own = tiny(workload=workloads, learning_rates=rates, sparsities=tuple(sparsities), control_sparsities=on, **grid)
    same_sums(own, methods, manifests(own, home))


def test_a_million_seeds_are_planned_as_fast_as_one(home: DataHome) -> None:
    million = tiny(seeds=1_000_000)
    totals = outline(million, METHODS, manifests(million, home))
    assert totals.count == sum(sums.runs for sums in totals.methods.values()) == 13_000_000
    assert len(totals.chains) == 13
    assert totals.operations == 1_000_000 * plan(tiny(seeds=1), METHODS, manifests(TINY, home)).operations


CELL = Cell(TINY.workload[0], 0.1, 0.5, 0)


def runs_of(asked: list[list[tuple[int, int]]], seeds: int) -> Iterator[PlannedRun]:
    """Runs that ask for states of these numbers and sizes, on every seed its own, seeds innermost."""
    for states in asked:
        for seed in range(seeds):
            steps = [
                Step("train", f"{state} {size} {seed}", size, trajectory=f"{state} {size} {seed}", stop=1)
                for state, size in states
            ]
            yield PlannedRun(METHODS[0], CELL, steps)


def peak_by_hand(runs: list[PlannedRun], live: int) -> int:
    last = {step.key: i + live for i, run in enumerate(runs) for step in run.steps}
    held: dict[str, int] = {}
    peak = 0
    for i, run in enumerate(runs):
        held |= {step.key: step.size for step in run.steps}
        peak = max(peak, sum(held.values()))
        held = {key: size for key, size in held.items() if last[key] > i}
    return peak


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=4), max_size=8),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_the_peak_is_that_of_going_through_the_runs(asked: list[Any], seeds: int, live: int) -> None:
    short = PlanTotals((seeds,))
    for run in runs_of(asked, 1):
        short.add(run)
    whole = list(runs_of(asked, seeds))
    assert short.peak(live) == Plan(whole).peak(live) == peak_by_hand(whole, live)


@pytest.mark.parametrize("keep", ["masks", "finals", "all"])
def test_what_stays_is_no_more_than_planned_and_not_much_less(tmp_path: Path, home: DataHome, keep: str) -> None:
    outcome = drive(TINY, METHODS, tmp_path, home, keep=keep)
    plan = outcome.plan
    kinds = store_in(tmp_path).root
    there = {kind: sum(p.stat().st_size for p in (kinds / kind).glob("*")) for kind in ("finals", "states")}
    whole = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert there["finals"] <= plan.finals and (there["finals"] > 0) == (keep == "finals")
    assert there["states"] <= plan.states and (there["states"] > 0) == (keep == "all")
    stays = plan.stays + {"masks": 0, "finals": plan.finals, "all": plan.states}[keep]
    assert stays / 4 < whole <= stays
