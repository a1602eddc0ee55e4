"""Flags as text."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench import bits


@given(st.lists(st.booleans(), max_size=40))
def test_there_and_back(flags: list[bool]) -> None:
    assert bits.flags(bits.text(flags), len(flags)).tolist() == flags


def test_the_first_flag_is_the_highest_bit() -> None:
    assert base64.b64decode(bits.text([True, False, False, False, False, False, False, True, True])) == b"\x81\x80"


def test_ten_thousand_take_little_more_than_a_kilobyte() -> None:
    assert len(bits.text(np.ones(10_000))) == 1668


@pytest.mark.parametrize("count", [-8, -1, 0, 8, 17, 10**30])
def test_another_number_of_flags_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"is not {count} bits"):
        bits.flags(bits.text([True] * 9), count)


@pytest.mark.parametrize("text", ["gf8=", "gYF=", "gYB=", "gYA=\n", "g", "ä", "gY A=", "gYA"])
def test_what_was_not_written_here_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not base64|is not 9 bits"):
        bits.flags(text, 9)
