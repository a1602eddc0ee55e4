"""Tests on the GPU on paper: numerics are set up, bits are shapes, and the books are empty after every test."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests import helpers

PARTS = ("params", "buffers", "mask", "momentum", "rule")


def shapes(state: Any) -> Any:
    """Return what is left of `tests.helpers.bits` where numbers mean nothing."""
    if state is None:
        return None
    parts = {part: {n: (tuple(t.shape), t.dtype) for n, t in getattr(state, part).items()} for part in PARTS}
    return parts | {"raw": shapes(state.raw)}


if "PAPER_SO" in os.environ:
    helpers.bits = shapes

    @pytest.fixture(autouse=True)
    def empty_books() -> Iterator[None]:
        from tests.gpu.paper import books

        books.clear()
        yield
        assert not books.trouble()
