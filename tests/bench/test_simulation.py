"""The simulated schedule: properties of every list schedule, and a few cases made by hand."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench.bench.simulation import Fleet, Schedule, Simulation, most, simulated
from lthbench.bench.task_graph import Request, TaskGraph
from lthbench.runs.workers.pool import TRIES

EVER = 10**6  # runs live at once: all of them


def graph(*chains: list[tuple[int, float]], seconds: list[float], evaluates: Any = (), **options: Any) -> TaskGraph:
    asks = [tuple(Request(*ask) for ask in chain) for chain in chains]
    return TaskGraph(asks, seconds, [i in evaluates for i in range(len(seconds))], **options)


@st.composite
def loads(draw: Any, evaluates: bool = True, asking: float | None = None) -> TaskGraph:
    """Draw up to eight runs of one seed that share operations. Each operation is requested; whole seconds make sums
    exact."""
    count = draw(st.integers(1, 10))
    operations = st.integers(0, count - 1)
    chains = draw(st.lists(st.lists(st.tuples(operations, st.integers(0, 3)), max_size=5), max_size=7))
    chains.append([(i, 0) for i in range(count)])
    of = set(draw(st.lists(operations))) if evaluates else set()
    seconds = [float(draw(st.integers(1, 20))) for _ in range(count)]
    driver = float(draw(st.integers(0, 3))) if asking is None else asking
    return graph(*chains, seconds=seconds, evaluates=of, seeds=draw(st.integers(1, 3)), asking=driver)


fleets = st.builds(Fleet, st.integers(1, 5), st.integers(1, 3), st.lists(st.floats(0, 100), max_size=3).map(tuple))
rough = st.builds(
    replace, fleets, slow=st.floats(0, 1), factor=st.floats(1, 4), failures=st.floats(0, 400), seed=st.integers(0, 99)
)


@given(loads(), fleets)
def test_it_takes_no_less_than_the_longest_run_and_than_the_work_on_all_slots(own: TaskGraph, fleet: Fleet) -> None:
    found = simulated(own, fleet)
    assert found.seconds >= own.critical_path - 1e-9
    assert found.busy == own.work <= found.there + 1e-9
    assert 0 <= found.utilisation <= 1 + 1e-9


@given(loads(), fleets)
def test_every_operation_is_done_once(own: TaskGraph, fleet: Fleet) -> None:
    found = simulated(own, fleet)
    assert found.done == own.seeds * len(own.seconds)
    assert found.attempts == own.seeds * own.evaluates.count(False)
    assert found.lost == 0


@given(loads(evaluates=False, asking=0.0), st.integers(1, 6))
def test_one_device_takes_the_sum_and_is_never_idle(own: TaskGraph, live: int) -> None:
    found = Simulation(own, Fleet(1), live).run()
    assert found.seconds == found.busy == own.work
    assert found.utilisation == 1


@given(loads(evaluates=False, asking=0.0), st.integers(1, 6))
def test_all_runs_at_once_keep_the_bound_of_list_schedules(own: TaskGraph, devices: int) -> None:
    """Graham 1969: while a device is idle, whatever the last run waits for is under way."""
    longest = max(sum(own.seconds[ask.operation] for ask in chain) for chain in own.chains)
    found = Simulation(own, Fleet(devices), EVER).run()
    assert found.seconds <= own.work / devices + (1 - 1 / devices) * longest + 1e-9


@given(loads(asking=0.0))
def test_with_a_device_for_each_operation_the_longest_run_decides(own: TaskGraph) -> None:
    enough = 8 * own.seeds * len(own.seconds)  # enough slots, and an evaluator
    assert Simulation(own, Fleet(enough), EVER).run().seconds == own.critical_path


@given(loads(), rough)
def test_the_same_seed_gives_the_same_schedule(own: TaskGraph, fleet: Fleet) -> None:
    assert simulated(own, fleet) == simulated(own, fleet)


@given(loads(evaluates=False, asking=0.0), fleets.map(lambda fleet: replace(fleet, joins=())))
def test_devices_that_are_all_slow_take_so_many_times_as_long(own: TaskGraph, fleet: Fleet) -> None:
    slow = simulated(own, replace(fleet, slow=1.0, factor=4.0))
    assert slow.seconds == 4 * simulated(own, fleet).seconds


@given(loads(), fleets)
def test_a_device_that_comes_when_all_is_done_changes_nothing(own: TaskGraph, fleet: Fleet) -> None:
    before = simulated(own, replace(fleet, slots=1, devices=2, joins=()))
    assert simulated(own, replace(fleet, slots=1, devices=2, joins=(before.seconds + 1,))) == before


@given(loads(), rough.flatmap(lambda fleet: st.sampled_from([fleet, replace(fleet, slow=0.0)])))
def test_what_fails_is_tried_again_and_a_run_is_lost_only_after_the_last_try(own: TaskGraph, fleet: Fleet) -> None:
    found, trainings = simulated(own, fleet), own.seeds * own.evaluates.count(False)
    assert found.attempts <= TRIES * (trainings + found.lost)
    assert (found.lost > 0) or found.done == own.seeds * len(own.seconds)
    assert found.done <= own.seeds * len(own.seconds)
    assert found.lost <= own.runs
    if not found.lost and not fleet.slow:
        assert (found.busy > own.work) == (found.attempts > trainings)


def test_where_everything_fails_every_run_that_trains_is_lost() -> None:
    own = graph(*[[(0, 0.0), (i, 0.0)] for i in range(1, 10)], [(10, 0.0)], seconds=[3600.0] * 11, evaluates={10})
    found = simulated(own, Fleet(1, failures=1e6))
    assert (found.lost, found.done, found.attempts) == (9, 1, 9 * TRIES)
    assert found.busy > 0


def test_the_longest_remainder_goes_first() -> None:
    """On one device, both short trainings wait for the long one; the second has an evaluation behind it."""
    chains = [(0, 0.0)], [(1, 0.0)], [(2, 9.0), (3, 0.0)]
    assert simulated(graph(*chains, seconds=[5.0, 1.0, 1.0, 10.0], evaluates={3}), Fleet(1)).seconds == 16


def test_a_request_for_a_running_operation_waits_for_it() -> None:
    found = simulated(graph([(0, 1), (1, 0)], [(0, 1), (2, 0)], seconds=[4.0, 1.0, 2.0]), Fleet(2))
    assert (found.seconds, found.busy) == (6, 7)


def test_no_more_runs_are_live_than_four_for_each_slot() -> None:
    """Eight runs that only evaluate, on one device: the driver asks for four at once, one second each."""
    own = graph(*[[(i, 0.0)] for i in range(8)], seconds=[100.0] * 8, evaluates=set(range(8)), asking=1.0)
    assert simulated(own, Fleet(1)).seconds == 801
    assert Simulation(replace(own, seconds=[1.0] * 8), Fleet(1), live=1).run().seconds == 16


def test_the_driver_serves_one_run_at_a_time() -> None:
    own = graph(*[[(i, 0.0)] for i in range(4)], seconds=[1.0] * 4, evaluates=set(range(4)), asking=10.0)
    assert simulated(own, Fleet(1)).seconds == 41


def test_runs_that_ask_for_nothing_are_passed_over() -> None:
    own = graph(*[[]] * 5000, [(0, 0.0)], seconds=[2.0])
    assert simulated(own, Fleet(1)) == Schedule(2.0, 2.0, 2.0, 1, 1, 0)


@given(st.integers(0, 40), st.integers(1, 30))
def test_the_search_finds_how_far_something_holds(last: int, limit: int) -> None:
    assert most(lambda n: n <= last, limit) == min(last, limit)


@pytest.mark.parametrize("holds", [lambda n: n in (1, 2, 4), lambda n: n % 2])
def test_the_search_ends_where_something_holds_and_the_next_does_not(holds: Any) -> None:
    found = most(holds, 100)
    assert holds(found) and not holds(found + 1)
