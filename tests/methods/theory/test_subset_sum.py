"""Subset sums by meeting in the middle, compared with a search over all subsets."""

from itertools import product

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from lthbench import closest_single, closest_subset
from lthbench.methods.theory import subset_sum


def drawn(rows: int, n: int, seed: int) -> tuple[Tensor, Tensor]:
    g = Generator().manual_seed(seed)
    return 2 * torch.rand(rows, n, generator=g, dtype=torch.float64) - 1, 4 * torch.rand(rows, generator=g).double() - 2


def misses(numbers: Tensor, targets: Tensor, chosen: Tensor) -> Tensor:
    return ((numbers * chosen).sum(1) - targets).abs()


@given(st.integers(1, 11), st.integers(0, 1000))
def test_no_subset_is_nearer(n: int, seed: int) -> None:
    numbers, targets = drawn(4, n, seed)
    every = torch.tensor(list(product([False, True], repeat=n)))
    best = ((every.double() @ numbers.T) - targets).abs().min(0).values
    torch.testing.assert_close(misses(numbers, targets, closest_subset(numbers, targets)), best, atol=1e-12, rtol=0)


@given(st.integers(1, 11), st.integers(0, 1000))
def test_no_single_number_is_nearer(n: int, seed: int) -> None:
    numbers, targets = drawn(4, n, seed)
    best = torch.cat([numbers - targets[:, None], -targets[:, None]], 1).abs().min(1).values
    chosen = closest_single(numbers, targets)
    assert (chosen.sum(1) <= 1).all()
    torch.testing.assert_close(misses(numbers, targets, chosen), best, atol=1e-12, rtol=0)


def test_the_rows_may_be_done_in_parts(monkeypatch: object) -> None:
    numbers, targets = drawn(7, 8, 0)
    whole = closest_subset(numbers, targets)
    monkeypatch.setattr(subset_sum, "MEMORY", 33)  # type: ignore[attr-defined]
    assert torch.equal(closest_subset(numbers, targets), whole)


def test_twenty_uniform_numbers_come_within_a_hundredth_of_a_number_in_one() -> None:
    numbers, _ = drawn(200, 20, 1)
    targets = torch.linspace(-1, 1, 200).double()
    assert misses(numbers, targets, closest_subset(numbers, targets)).max() < 0.01
