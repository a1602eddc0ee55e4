"""The growth of a construction's width as the error falls: with log 1/ε, or with a power of 1/ε."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit

Form = Callable[[np.ndarray, float, float], np.ndarray]


@dataclass(frozen=True)
class Fit:
    """A fit of width ≈ form(ε; a, b), by least squares in log width.

    `r2` and `aic` also refer to log width, so forms compare.
    """

    a: float
    b: float
    r2: float
    aic: float


def logarithmic(errors: Sequence[float], widths: Sequence[float]) -> Fit:
    """Fit width = a + b log2(1/ε): Pensia et al. 2020."""
    return _fit(lambda x, a, b: np.log(np.maximum(a + b * x / math.log(2), 1e-9)), errors, widths, (1.0, 3.0))


def polynomial(errors: Sequence[float], widths: Sequence[float]) -> Fit:
    """Fit width = a (1/ε)^b: Malach et al. 2020."""
    return _fit(lambda x, a, b: np.log(max(a, 1e-9)) + b * x, errors, widths, (1.0, 1.0))


def _fit(form: Form, errors: Sequence[float], widths: Sequence[float], start: tuple[float, float]) -> Fit:
    x, y = -np.log(np.asarray(errors, float)), np.log(np.asarray(widths, float))
    (a, b), _ = curve_fit(form, x, y, p0=start, maxfev=20_000)
    rest = float(((y - form(x, a, b)) ** 2).sum())
    total = float(((y - y.mean()) ** 2).sum())
    return Fit(float(a), float(b), 1 - rest / total, len(x) * math.log(max(rest, 1e-300) / len(x)) + 4)
