"""The examples in the docstrings of public names, run as doctests."""

import doctest
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lthbench

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    {getattr(lthbench, name).__module__ for name in lthbench.__all__ if hasattr(getattr(lthbench, name), "__module__")}
)


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("lthbench")])
def test_examples_are_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    import_module(name)
    assert doctest.testmod(sys.modules[name], optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).failed == 0


def test_every_name_says_what_it_is() -> None:
    assert not [name for name in lthbench.__all__ if not (getattr(lthbench, name).__doc__ or "").strip()]
