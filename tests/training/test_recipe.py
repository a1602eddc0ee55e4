"""A recipe takes the numbers that a training can be done with, and refuses others in one line."""

import math
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lthbench.errors import InputError
from lthbench.training.optimizer import keys_of
from lthbench.training.recipe import BOUNDS, Recipe

PLAIN = Recipe(epochs=2, batch=8, lr=0.1)
ADAM = PLAIN.replace(optimizer="adam")
NUMBERS = st.floats() | st.integers(-(10**6), 10**6)


@given(st.sampled_from(sorted(BOUNDS)), NUMBERS)
def test_a_number_is_taken_as_it_is_or_refused_in_one_line(name: str, value: float) -> None:
    try:
        plain = PLAIN if name in keys_of("sgd") | BOUNDS.keys() - keys_of("adam") else ADAM
        assert getattr(plain.replace(**{name: value}), name) is value
    except InputError as error:
        assert f"{name} = {value!r} must be" in str(error) and "\n" not in str(error)
    else:
        assert math.isfinite(value) and value >= 0


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, True, "1"])
def test_no_number_may_be_infinite_or_negative(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} = "):
        PLAIN.replace(**{name: value})


def test_every_number_of_a_recipe_has_a_bound() -> None:
    numbers = {f.name for f in fields(Recipe) if any(kind in str(f.type) for kind in ("int", "float"))}
    assert numbers - {"drops", "betas"} == BOUNDS.keys()


@pytest.mark.parametrize("drop", [-0.1, 1.1, math.nan, 80])
def test_a_drop_is_a_fraction(drop: float) -> None:
    with pytest.raises(InputError, match="fractions"):
        PLAIN.replace(drops=(0.5, drop))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 60))
def test_the_smallest_batch_is_the_smallest_part_of_any_step(batch: int, shards: int, size: int) -> None:
    recipe = PLAIN.replace(batch=batch, shards=shards)
    steps = torch.arange(size).split(batch)
    parts = [len(part) for step in steps for part in step.tensor_split(shards) if len(part)]
    assert recipe.smallest_batch(size) == min(parts)
