"""Weight correlation R_p: on masks made by hand, at its chance level, and from a real run's record."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor, tensor

from lthbench.pruning.correlation import chance_level, correlations, weight_correlation

Layers = dict[str, Tensor]


def whole(tensors: Layers) -> Layers:
    return {name: torch.ones_like(t, dtype=torch.bool) for name, t in tensors.items()}


def test_by_hand() -> None:
    # the largest two of four and the largest one of two: {0, 3} and {1, 3} share one, {1} and {1} share one
    a = {"first": tensor([-9.0, 1.0, 2.0, 8.0]), "second": tensor([0.1, -0.5])}
    b = {"first": tensor([0.0, 7.0, 0.0, -6.0]), "second": tensor([0.1, 3.0])}
    assert weight_correlation(a, b, whole(a), 0.5) == pytest.approx(2 / 3)
    assert weight_correlation(a, b, whole(a), 0.25) == 0.0  # {0} against {1}, and none of two
    assert weight_correlation(a, b, whole(a), 1.0) == 1.0


def test_only_what_both_keep_counts() -> None:
    a, b = {"w": tensor([100.0, 4.0, 3.0, 2.0, 1.0])}, {"w": tensor([0.0, 9.0, 1.0, 8.0, 2.0])}
    mask = {"w": tensor([False, True, True, True, True])}
    assert weight_correlation(a, b, mask, 0.5) == 0.5  # {1, 2} against {1, 3}
    assert weight_correlation(a, b, whole(a), 0.2) == 0.0  # the removed weight is the largest of a


def test_each_layer_has_its_own_largest() -> None:
    small, large = torch.linspace(0.1, 1, 10), torch.linspace(10, 100, 10)
    a, b = {"x": small, "y": large}, {"x": small, "y": large.flip(0)}
    assert weight_correlation(a, b, whole(a), 0.5) == 0.5  # all of x, none of y


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.sampled_from([0.1, 0.2, 0.5, 1.0]), st.integers(0, 99))
def test_bounds_symmetry_and_itself(sizes: list[int], p: float, seed: int) -> None:
    g = Generator().manual_seed(seed)
    a, b = ({str(i): torch.randn(n, generator=g) for i, n in enumerate(sizes)} for _ in range(2))
    r = weight_correlation(a, b, whole(a), p)
    if math.isnan(r):
        assert all(round(p * n) == 0 for n in sizes)
        assert math.isnan(chance_level(whole(a), p))
        return
    assert 0 <= r <= 1 and r == weight_correlation(b, a, whole(a), p)
    assert (
        weight_correlation(a, a, whole(a), p)
        == 1.0
        == weight_correlation(a, {n: -t for n, t in a.items()}, whole(a), p)
    )


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5])
def test_chance_level_is_the_mean_over_independent_weights(p: float) -> None:
    g = Generator().manual_seed(0)
    mask = {"x": torch.rand(40, generator=g) < 0.5, "y": torch.ones(12, 5, dtype=torch.bool)}

    def drawn() -> Layers:
        return {name: torch.randn(m.shape, generator=g) for name, m in mask.items()}

    found = tensor([weight_correlation(drawn(), drawn(), mask, p) for _ in range(400)])
    assert float(found.mean()) == pytest.approx(chance_level(mask, p), abs=4 * float(found.std()) / 20)
    assert chance_level(mask, p) == pytest.approx(p, abs=0.03)


def test_ties_are_at_chance_and_not_in_step_with_the_position() -> None:
    a = {"w": torch.ones(2000)}
    front = {"w": torch.arange(2000, 0, -1.0)}
    assert weight_correlation(a, front, whole(a), 0.2) == pytest.approx(0.2, abs=0.06)


def test_nothing_left() -> None:
    a = {"w": torch.randn(5)}
    assert all(map(math.isnan, correlations(a, a, {"w": torch.zeros(5, dtype=torch.bool)}).values()))
