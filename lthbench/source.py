"""What of a Python file makes it another method: its code, without comments, docstrings and blank lines."""

import ast
import io
import threading
import tokenize
from functools import lru_cache
from importlib.util import decode_source
from pathlib import Path

from lthbench import keys

_parsing = threading.Lock()


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without the byte-order mark that some editors put in front."""
    return path.read_text(encoding="utf-8-sig")


def read(path: Path) -> str:
    """Return the text of a Python file as Python reads it: a byte-order mark or a coding line decides its encoding."""
    return decode_source(path.read_bytes())


def digest(path: Path) -> str:
    """A key of the code in a file. Editing a comment or a docstring leaves it as it is, in every Python version."""
    return digest_of(read(path))


def parsed(text: str, mode: str = "exec") -> ast.AST:
    """The syntax tree of a text; one thread at a time, for ast.parse in two at once can fail in Python 3.11."""
    with _parsing:
        return ast.parse(text, mode=mode)


@lru_cache(maxsize=1024)
def digest_of(text: str) -> str:
    """The same of a text."""
    try:
        return keys.key("source", [line for line in _code(text) if line])
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return keys.key("source", text)


def _code(text: str) -> list[str]:
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for first, last in _docstrings(parsed(text)):
        lines[first - 1 : last] = [""] * (last - first + 1)
    return [line.rstrip() for line in lines]


def _docstrings(tree: ast.AST) -> list[tuple[int, int]]:
    """First and last lines of the docstrings."""
    owners = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    first = [owner.body[0] for owner in owners if owner.body and ast.get_docstring(owner) is not None]
    return [(node.lineno, node.end_lineno or node.lineno) for node in first]
