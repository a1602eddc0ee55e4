"""Keys: the same value has the same key everywhere, and different values have different ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench import keys
from tests.helpers import in_fresh_process

VALUES = [None, True, False, 0, 1, -1, 2**80, 1.0, -0.0, 0.1, float("inf"), "", "1", "naïve ✓", b"1"]
VALUES += [[], [1, [2]], (), {}, {"b": 1, "a": [None]}]
GOLDEN = "55069d1543b042b6da74fcb1efdaefaf"
GOLDEN_SEED = 3750580106299909728
IN_INIT = ("init", "hidden.0.weight", 3, 0)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def typed(value: object) -> object:
    """A form in which Python's own equality tells 1, 1.0, True and -0.0 apart."""
    match value:
        case list():
            return "list", [typed(item) for item in value]
        case dict():
            return "dict", {name: typed(item) for name, item in value.items()}
    return type(value).__name__, repr(value)


def test_keys_are_golden() -> None:
    assert keys.key(*VALUES) == GOLDEN
    assert keys.seed(*IN_INIT) == GOLDEN_SEED


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_keys_are_the_same_in_a_fresh_process_that_has_this_file_alone(hash_seed: str) -> None:
    values = [value for value in VALUES if value != float("inf")]  # whose repr is no Python
    code = f"import runpy; print(runpy.run_path({keys.__file__!r})['key'](*{values!r}))"
    assert in_fresh_process(code, PYTHONHASHSEED=hash_seed) == keys.key(*values)


def test_types_are_told_apart() -> None:
    values = [1, 1.0, True, "1", b"1", [1], {"1": 1}, 0, 0.0, -0.0, False, None, "", b"", [], {}]
    assert len({keys.key(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((["a"], ["b"]), (["a", "b"], [])),
        (([[1], 2],), ([[1, 2]],)),
        (("ab", "c"), ("a", "bc")),
        (([], []), ([[]],)),
        ((1, 2), ([1, 2],)),
        (({"a": 1}, {"b": 2}), ({"a": 1, "b": 2}, {})),
        ((12, 3), (1, 23)),
        (({"a": "b"},), (["a", "b"],)),
    ],
)
def test_neighbours_do_not_run_together(one: tuple, other: tuple) -> None:
    assert keys.key(*one) != keys.key(*other)


def test_lists_and_tuples_are_the_same_value() -> None:
    assert keys.key([1, (2, 3)]) == keys.key((1, [2, 3]))


@given(st.dictionaries(st.text(), plain, min_size=2, max_size=5))
def test_the_order_of_a_mapping_does_not_matter(mapping: dict[str, object]) -> None:
    assert keys.key(mapping) == keys.key(dict(reversed(mapping.items())))


@given(plain, plain)
def test_keys_are_equal_exactly_where_values_are(one: object, other: object) -> None:
    assert (keys.key(one) == keys.key(other)) == (typed(one) == typed(other))


@given(plain)
def test_a_key_is_short_plain_text_and_the_same_twice(value: object) -> None:
    assert keys.key(value) == keys.key(value)
    assert len(keys.key(value)) == 32
    int(keys.key(value), 16)


@given(plain)
def test_a_seed_fits_a_generator_and_is_no_key(value: object) -> None:
    assert 0 <= keys.seed(value) < 2**63
    assert keys.seed(value) != int(keys.key(value)[:16], 16) >> 1


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j, bytearray(b"1"), range(3), len, frozenset(), {1: "a"}])
def test_other_types_raise(value: object) -> None:
    with pytest.raises(TypeError):
        keys.key(["inside", value])


def test_a_tensor_raises() -> None:
    import torch

    with pytest.raises(TypeError, match="Tensor"):
        keys.key(torch.zeros(2))


def test_a_mapping_with_mixed_keys_raises() -> None:
    with pytest.raises(TypeError):
        keys.key({"a": 1, 2: 3})
