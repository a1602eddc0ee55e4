"""One digest, one source: what the digest leaves out never runs."""

import ast
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lthbench import source

HONEST = 'import lthbench\n\n\ndef f(x):\n    """Says what it does."""\n    return x  # the value\n'
EVIL = "__import__('os').system('true')"


def same(a: str, b: str) -> bool:
    return source.digest_of(a) == source.digest_of(b)


def test_comments_docstrings_and_blank_lines_do_not_count() -> None:
    other = 'import lthbench  # of course\n\ndef f(x):\n    """Another\n\n    text."""\n\n    return x\n\n'
    assert same(HONEST, other)
    assert same(HONEST, HONEST.replace("\n", "\r\n"))
    assert not same(HONEST, HONEST.replace("return x", "return -x"))


HIDING: dict[str, tuple[str, str]] = {
    "form_feeds": ("x = 1 #\f\n# a\n# b\nreturn_ = 2\n", f"x = 1 #\f\n# a\n# b\n{EVIL}\n"),
    "carriage_return": ("x = 1  # a\ny = 2\n", f"x = 1  # a\r{EVIL}\ny = 2\n"),
    "separators": ("x = '\u2028' # a\n# b\ny = 2\n", f"x = '\u2028' # a\n# b\n{EVIL}\n"),
    "behind_a_docstring": ('"""A."""\nx = 1\n', f'"""A."""; {EVIL}\nx = 1\n'),
    "beside_a_docstring": ('def f(): "A."\nx = 1\n', f'def f(): "A."; {EVIL}\nx = 1\n'),
    "a_name_beside_a_docstring": ('def f(): "A."\nx = 1\n', 'def g(): "A."\nx = 1\n'),
    "blank_lines_in_a_text": ("x = '''a\n\nb'''\n", "x = '''a\n\n\n\nb'''\n"),
    "spaces_in_a_text": ("x = '''a\nb'''\n", "x = '''a   \nb'''\n"),
    "spaces_in_a_text_of_fields": ("x = f'''a\n{1}b'''\n", "x = f'''a \n{1}b'''\n"),
    "an_encoding_with_escapes": ("# coding: unicode_escape\n# \\x41\n", f"# coding: unicode_escape\n# \\x0a{EVIL}\n"),
    "an_encoding_of_seven_bits": ("# coding: utf-7\n# a\n", f"# coding: utf-7\n# +AAo-{EVIL}\n"),
    "a_mark_before_it": ("x = 1\n", "\ufeffx = 1 # b\n"),
}


@pytest.mark.parametrize("name", sorted(HIDING))
def test_two_programs_have_two_digests(name: str) -> None:
    one, two = HIDING[name]
    assert not same(one, two)


PARTS = [" ", "\n", "\r", "\f", "\v", "\x1c", "\u2028", "#", '"""', "'''", '"', "'", "\\", "\\\n", ";", "x", "=1", "f", "def f():", "    ",
         "b", "(", ")", "pass", "class A:", "# coding: latin-1\n", "\t", "{x}", "1\n", "\x00"]  # fmt: skip


@given(
    st.lists(st.sampled_from(PARTS), max_size=14).map("".join),
    st.lists(st.sampled_from(PARTS), max_size=3).map("".join),
    st.data(),
)
def test_equal_digests_are_equal_programs(text: str, more: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    other = text[:at] + more + text[at:]
    if same(text, other):
        assert program(text) == program(other)


def program(text: str) -> str | None:
    """What Python makes of a text, docstrings left out; None for no program."""
    try:
        tree = ast.parse(text.encode(errors="surrogatepass"))
    except (SyntaxError, ValueError):
        return None
    for node in source.docstrings(tree):
        node.value = ast.Constant("")
    return ast.dump(tree)


def test_the_property_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison of programs, a docstring's line would hide what stands beside it."""
    alone: Callable[..., bool] = lambda lines, span: True  # noqa: E731
    monkeypatch.setattr(source, "_alone", alone)
    monkeypatch.setattr(source, "_shape", lambda tree: "")
    source.digest_of.cache_clear()
    one, two = HIDING["behind_a_docstring"]
    assert same(one, two)
    source.digest_of.cache_clear()
