"""The fits distinguish a logarithm from a power."""

import pytest

from lthbench.report.papers.widths import logarithmic, polynomial

ERRORS = [0.3, 0.1, 0.03, 0.01, 0.003]


def test_a_power_is_found() -> None:
    widths = [8 * error**-0.9 for error in ERRORS]
    fit = polynomial(ERRORS, widths)
    assert (fit.a, fit.b, fit.r2) == pytest.approx((8, 0.9, 1))
    assert fit.aic < logarithmic(ERRORS, widths).aic


def test_a_logarithm_is_found() -> None:
    widths = [2 + 3 * bits for bits in (1.737, 3.322, 5.059, 6.644, 8.381)]
    fit = logarithmic(ERRORS, widths)
    assert (fit.a, fit.b, fit.r2) == pytest.approx((2, 3, 1), abs=1e-2)
    assert fit.aic < polynomial(ERRORS, widths).aic
