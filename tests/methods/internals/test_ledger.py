"""The charge of a run: the union of the steps on each trajectory, and scoring beyond an allowance of one epoch."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lthbench import MethodError, OverBudget
from lthbench.methods.internals.ledger import Ledger
from lthbench.training.clock import Clock

CLOCK = Clock(epochs=4, batch=10, size=25)  # batches of 10, 10 and 5: the costs of steps differ
SPANS = st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda span: span[0] < span[1])

fixed = settings(derandomize=True, deadline=None)


def cost(steps: set[int]) -> int:
    return sum(CLOCK.examples(step + 1) - CLOCK.examples(step) for step in steps)


def test_steps_cost_what_they_see() -> None:
    ledger = Ledger(None, 25)
    ledger.train("a", CLOCK, 0, 3)
    assert ledger.charged["train"] == 25
    ledger.train("a", CLOCK, 3, 5)
    assert ledger.charged["train"] == 45


@fixed
@given(st.lists(st.tuples(st.sampled_from("ab"), SPANS), max_size=12))
def test_charge_is_the_union_of_steps_on_each_trajectory(asked: list[tuple[str, tuple[int, int]]]) -> None:
    ledger, covered = Ledger(None, 25), {"a": set(), "b": set()}
    for trajectory, (start, stop) in asked:
        ledger.train(trajectory, CLOCK, start, stop)
        ledger.end(trajectory, CLOCK, stop, stop)
        covered[trajectory] |= set(range(start, stop))
    assert ledger.charged == {"train": cost(covered["a"]) + cost(covered["b"]), "score": 0, "validate": 0}


@fixed
@given(st.lists(SPANS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_charge_does_not_depend_on_the_order(spans: list[tuple[int, int]], random: object) -> None:
    one, other = Ledger(None, 25), Ledger(None, 25)
    for span in spans:
        one.train("a", CLOCK, *span)
    random.shuffle(spans)  # type: ignore[attr-defined]
    for span in spans:
        other.train("a", CLOCK, *span)
    assert one.charged == other.charged


def test_what_a_rule_ended_early_is_given_back_once() -> None:
    ledger = Ledger(4, 25)
    for _ in range(2):
        ledger.train("a", CLOCK, 0, 12)
        ledger.end("a", CLOCK, 6, 12)
        assert ledger.charged["train"] == 50
    assert ledger.left == 2


def test_early_end_found_on_the_way_and_again_at_the_end() -> None:
    ledger = Ledger(None, 25)
    ledger.train("a", CLOCK, 0, 9)  # until epoch 3, but the rule is done after 2
    ledger.end("a", CLOCK, 6, 9)
    ledger.train("a", CLOCK, 6, 12)  # to the end: the rule is still done
    ledger.end("a", CLOCK, 6, 12)
    assert ledger.charged["train"] == 50


def test_one_epoch_of_scoring_and_validation_is_free() -> None:
    ledger = Ledger(1, 25)
    ledger.measure("score", "a", 15)
    ledger.measure("validate", "b", 10)
    assert (ledger.spent, ledger.left) == (0, 1)
    ledger.measure("score", "c", 5)
    assert ledger.charged == {"train": 0, "score": 20, "validate": 10}
    assert (ledger.spent, ledger.left) == (5, 0.8)


def test_the_same_pass_is_charged_once() -> None:
    ledger = Ledger(None, 25)
    for _ in range(3):
        ledger.measure("score", "a", 15)
    assert ledger.charged["score"] == 15


def test_budget_may_be_spent_to_the_last_example() -> None:
    ledger = Ledger(2, 25)
    ledger.train("a", CLOCK, 0, 6)
    assert ledger.left == 0
    ledger.train("a", CLOCK, 0, 6)  # costs nothing more
    with pytest.raises(
        OverBudget, match=r"over budget: training from step 6 to 7 would bring .* 2\.4 .* the budget is 2;"
    ):
        ledger.train("a", CLOCK, 6, 7)


@fixed
@given(st.lists(st.tuples(st.sampled_from("ab"), SPANS), max_size=12), st.floats(0, 4))
def test_over_budget_raises_before_anything_is_spent(asked: list[tuple[str, tuple[int, int]]], budget: float) -> None:
    ledger, covered = Ledger(budget, 25), {"a": set(), "b": set()}
    for trajectory, (start, stop) in asked:
        more = covered[trajectory] | set(range(start, stop))
        total = sum(cost(steps) for steps in (covered | {trajectory: more}).values())
        if total > round(budget * 25):
            before = ledger.spent, dict(ledger.charged), ledger.left
            with pytest.raises(OverBudget):
                ledger.train(trajectory, CLOCK, start, stop)
            assert (ledger.spent, ledger.charged, ledger.left) == before
        else:
            ledger.train(trajectory, CLOCK, start, stop)
            covered[trajectory] = more
        assert ledger.charged["train"] == sum(map(cost, covered.values()))


def test_scoring_beyond_its_allowance_counts_against_the_budget() -> None:
    ledger = Ledger(1, 25)
    ledger.train("a", CLOCK, 0, 3)
    ledger.measure("score", "a", 25)
    for _ in range(2):
        with pytest.raises(OverBudget, match="a validate pass over 1 examples"):
            ledger.measure("validate", "b", 1)
    assert ledger.charged == {"train": 25, "score": 25, "validate": 0}
    assert issubclass(OverBudget, MethodError)


def test_no_budget_is_charged_and_not_limited() -> None:
    ledger = Ledger(None, 25)
    for i in range(50):
        ledger.train(str(i), CLOCK, 0, 12)
    assert ledger.charged["train"] == 5000
    assert ledger.left == math.inf


def test_accounts_apart_are_neither_charged_nor_limited() -> None:
    ledger = Ledger(1, 25)
    with ledger.account("search"):
        ledger.train("a", CLOCK, 0, 12)
        with ledger.account("inner"):
            ledger.measure("score", "b", 7)
        ledger.train("a", CLOCK, 0, 12)
        ledger.measure("score", "c", 5)
    assert ledger.off_budget == {"search": 105, "inner": 7}
    assert (ledger.spent, ledger.left) == (0, 1)
    ledger.train("a", CLOCK, 0, 3)  # work off budget does not lower the charge
    assert ledger.charged["train"] == 25


def test_an_account_ends_with_its_block() -> None:
    ledger = Ledger(1, 25)
    with pytest.raises(RuntimeError), ledger.account("search"):
        raise RuntimeError
    ledger.train("a", CLOCK, 0, 3)
    assert (ledger.off_budget, ledger.charged["train"]) == ({"search": 0}, 25)


def test_an_early_end_apart_is_given_back_there() -> None:
    ledger = Ledger(1, 25)
    with ledger.account("search"):
        ledger.train("a", CLOCK, 0, 12)
        ledger.end("a", CLOCK, 3, 12)
    assert (ledger.off_budget["search"], ledger.charged["train"]) == (25, 0)
