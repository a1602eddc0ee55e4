"""Budget formulas, and the rounds of iterative pruning."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench import budget
from lthbench.errors import InputError

NAMES = {"T": 160, "n": 3, "k": 10}


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("2T", 320),
        ("T", 160),
        ("T - k", 150),
        ("(n+1)T", 640),
        ("T(n+1)", 640),
        ("2(n+1)T/4", 320),
        ("(n+1)(T-k)", 600),
        ("2 n T", 960),
        ("1.5T", 240),
        (".5T", 80),
        ("2T + 3k", 350),
        ("T - k - k", 140),
        ("T/2/2", 40),
        ("T - 2(k + 1)", 138),
        ("-k + T", 150),
        (" 2T ", 320),
        ("7", 7),
        ("T+n*k", 190),
    ],
)
def test_formulas(formula: str, value: float) -> None:
    assert budget.evaluate(formula, NAMES) == value


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "2X",
        "T**2",
        "2T +",
        "(n+1",
        "n+1)",
        "T; k",
        "__import__('os')",
        "T.real",
        "T[0]",
        "T if n else k",
        "T < k",
        "T/0",
        "T/(n-3)",
        "2,T",
        "lambda: T",
        "'T'",
        "nT",
        "f(T",
        "()",
        "T %% 2",
        "1e3",
        "None",
    ],
)
def test_what_is_no_formula_is_refused_with_its_text(formula: str) -> None:
    with pytest.raises(InputError) as error:
        budget.evaluate(formula, NAMES)
    assert repr(formula) in str(error.value)
    assert "T, n, k" in str(error.value)


def test_a_huge_number_is_refused() -> None:
    with pytest.raises(InputError):
        budget.evaluate("9" * 400 + "T", NAMES)


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(InputError):
        budget.evaluate("True", NAMES)


@given(st.integers(0, 50), st.integers(1, 300), st.integers(1, 20))
def test_implicit_multiplication_is_multiplication(a: int, t: int, n: int) -> None:
    assert budget.evaluate(f"{a}(n+1)T", {"T": t, "n": n}) == a * (n + 1) * t
    assert budget.evaluate(f"{a}(n+1)T", {"T": t, "n": n}) == budget.evaluate(f"{a}*(n+1)*T", {"T": t, "n": n})


@pytest.mark.parametrize(
    ("sparsity", "count"), [(0.0, 0), (0.1, 1), (0.2, 1), (0.36, 2), (0.488, 3), (0.5, 4), (0.9, 11), (0.98, 18)]
)
def test_rounds_at_twenty_percent(sparsity: float, count: int) -> None:
    assert len(budget.rounds(sparsity)) == count


@given(st.floats(0.01, 0.999), st.floats(0.05, 0.9))
def test_rounds_end_exactly_and_each_removes_the_rate(sparsity: float, rate: float) -> None:
    found = budget.rounds(sparsity, rate)
    assert found[-1] == sparsity
    left = [1.0, *(1 - s for s in found)]
    for before, after in pairwise(left[:-1]):
        assert after == pytest.approx(before * (1 - rate))
    assert left[-2] * (1 - rate) * (1 - 1e-6) <= left[-1] < left[-2]
