"""The inputs of the specification's unit tests, as records and Meta."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lthbench.scoring.contrast import Meta

CIFAR10 = Meta(classes=10, n_test=10000, tolerance=0.5)
CIFAR100 = Meta(classes=100, n_test=10000, tolerance=1.0)


@pytest.fixture
def case() -> Callable[[str], pd.DataFrame]:
    """Return a function that reads the records of a case by name."""
    return lambda name: pd.read_csv(Path(__file__).parent / "data" / f"case_{name}.csv")


@pytest.fixture
def meta() -> dict[str, Meta]:
    """Return Meta of w and x as in the verdict case, and of u and v as in the marginals and ranking cases."""
    return {"w": CIFAR10, "x": CIFAR10, "u": CIFAR10, "v": CIFAR100}


@pytest.fixture
def close() -> Callable[[object], object]:
    """Return a comparison with the specification's tolerance: 1e-5 relative, 1e-6 absolute."""
    return lambda expected: pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)
