"""Learning-rate schedules compared with their closed forms, and the learning rate of fine-tuning."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench.errors import InputError
from lthbench.training.clock import Clock, Steps
from lthbench.training.recipe import Recipe
from lthbench.training.schedule import rates


def recipe(**changes: Any) -> Recipe:
    return Recipe(**({"epochs": 10, "batch": 10, "lr": 0.4} | changes))


def of(size: int = 20, **changes: Any) -> list[float]:
    r = recipe(**changes)
    return rates(r, r.clock(size).total).tolist()


def test_there_is_one_rate_a_step() -> None:
    assert len(of(size=21)) == 30


def test_constant() -> None:
    assert of(schedule="constant") == pytest.approx([0.4] * 20)


def test_step_drops_at_fractions_of_the_whole() -> None:
    assert of(drops=(0.5, 0.75)) == pytest.approx([0.4] * 10 + [0.04] * 5 + [0.004] * 5)


@pytest.mark.parametrize("drop", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_drop_takes_effect_at_the_first_step_at_or_behind_it(drop: float) -> None:
    found = of(size=100, drops=(drop,))
    assert found.index(min(found)) == round(drop * 100)


def test_gamma_is_the_factor_of_a_drop() -> None:
    assert of(drops=(0.5,), gamma=0.2)[-1] == pytest.approx(0.08)


def test_cosine() -> None:
    assert of(schedule="cosine") == pytest.approx([0.2 * (1 + math.cos(math.pi * t / 20)) for t in range(20)])


def test_linear() -> None:
    assert of(schedule="linear") == pytest.approx([0.4 * (1 - t / 20) for t in range(20)])


def test_warm_up_rises_linearly_to_the_peak() -> None:
    assert of(schedule="constant", warmup=0.2) == pytest.approx([0.1, 0.2, 0.3, 0.4] + [0.4] * 16)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_decay_begins_where_the_warm_up_ends(schedule: str) -> None:
    found = of(schedule=schedule, warmup=0.2)
    left = [t / 16 for t in range(16)]
    shape = [(1 + math.cos(math.pi * x)) / 2 if schedule == "cosine" else 1 - x for x in left]
    assert found[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert found[4:] == pytest.approx([0.4 * x for x in shape])


@given(
    st.sampled_from(["constant", "step", "cosine", "linear"]),
    st.floats(0, 0.9),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_no_rate_is_over_the_peak_or_under_zero(schedule: str, warmup: float, size: int, epochs: int) -> None:
    found = of(size, schedule=schedule, warmup=warmup, drops=(0.5,), epochs=epochs)
    assert all(0 <= rate <= 0.4 * (1 + 1e-6) for rate in found)


@given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 5))
def test_a_clock_counts_every_example_once_an_epoch(size: int, batch: int, epochs: int) -> None:
    clock = Clock(epochs, batch, size)
    seen = [clock.examples(step) for step in range(clock.total + 1)]
    assert seen[0] == 0 and seen[-1] == epochs * size
    assert all(0 < after - before <= batch for before, after in pairwise(seen))
    assert [clock.examples(clock.step(epoch)) for epoch in range(epochs + 1)] == [e * size for e in range(epochs + 1)]


def test_positions_are_epochs_or_steps() -> None:
    clock = Clock(epochs=4, batch=8, size=22)
    assert (clock.step(2), clock.step(Steps(2)), clock.total) == (6, 2, 12)


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ({"drops": (0.5, 0.75)}, 0.004),
        ({"drops": (0.3, 0.6, 0.9)}, 0.0004),  # a thousandth is not under a thousandth
        ({"drops": ()}, 0.4),
        ({"schedule": "constant"}, 0.4),
        ({"schedule": "cosine", "fine_tune_lr": 0.01}, 0.01),
        ({"drops": (0.5,), "fine_tune_lr": 0.3}, 0.3),
    ],
)
def test_fine_tuning_goes_at_the_last_rate_or_the_named_one(changes: dict[str, Any], rate: float) -> None:
    tuning = recipe(warmup=0.5, **changes).fine_tuning(3)
    found = rates(tuning, tuning.clock(20).total).tolist()
    assert found == pytest.approx([rate] * 6)


def test_fine_tuning_keeps_the_rest_of_the_recipe() -> None:
    r = recipe(weight_decay=0.1, momentum=0.8, nesterov=True, augment="crop-flip", label_smoothing=0.1, examples=7)
    tuning = r.fine_tuning(3)
    for name in ("batch", "weight_decay", "momentum", "nesterov", "augment", "label_smoothing", "examples"):
        assert getattr(tuning, name) == getattr(r, name)


@pytest.mark.parametrize(
    "changes",
    [{"schedule": "cosine"}, {"schedule": "linear"}, {"drops": (0.2, 0.4, 0.6, 0.8)}, {"drops": (0.5,), "gamma": 0}],
)
def test_fine_tuning_asks_for_a_rate_where_the_schedule_ends_at_nearly_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="name fine_tune_lr"):
        recipe(**changes).fine_tuning(3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 0}, "epochs = 0"),
        ({"batch": 0}, "batch = 0"),
        ({"lr": -0.1}, "lr = -0.1"),
        ({"lr": math.nan}, "lr = nan"),
        ({"examples": 0}, "examples = 0"),
        ({"schedule": "stairs"}, "'stairs'"),
        ({"augment": "flip"}, "'flip'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_by_key_and_value(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        recipe(**changes)


@pytest.mark.parametrize("changes", [{"drops": (80, 120)}, {"drops": (-0.1,)}, {"warmup": 5}, {"warmup": -0.1}])
def test_drops_and_warm_up_given_in_epochs_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        recipe(**changes)


def test_a_change_of_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="epcohs"):
        recipe().replace(epcohs=3)


def test_a_change_to_a_wrong_type_names_the_field() -> None:
    with pytest.raises(InputError, match="epochs"):
        recipe().replace(epochs="3")


def test_more_examples_than_there_are_are_refused() -> None:
    with pytest.raises(InputError, match="examples = 30.* has 20"):
        recipe(examples=30).clock(20)


def test_the_identity_is_of_all_that_changes_a_training() -> None:
    plain = recipe().identity
    assert recipe(fine_tune_lr=0.1).identity == plain
    assert recipe(lr=1, drops=(0.5,)).identity == recipe(lr=1.0, drops=(0.5,)).identity
    changes = [{"epochs": 9}, {"batch": 9}, {"lr": 0.1}, {"schedule": "cosine"}, {"drops": (0.5,)}, {"gamma": 0.2}]
    changes += [{"warmup": 0.1}, {"momentum": 0.8}, {"nesterov": True}, {"weight_decay": 0.1}, {"examples": 5}]
    changes += [{"label_smoothing": 0.1}, {"augment": "crop-flip"}]
    assert all(recipe(**change).identity != plain for change in changes)
