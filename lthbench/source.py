"""The digest of a Python file's code: comments, docstrings and blank lines do not count."""

import ast
import codecs
import io
import threading
import tokenize
from functools import lru_cache
from pathlib import Path

from lthbench import keys

_parsing = threading.Lock()
_Span = tuple[int, int, int, int]  # first row and column, last row and column; columns in bytes


def digest(path: Path) -> str:
    """Return a key of the code in a file. Editing a comment or a docstring leaves it as it is, in every Python version."""
    return digest_of(path.read_bytes().decode(errors="surrogateescape"))


def parsed(text: str, mode: str = "exec") -> ast.AST:
    """Parse a text; one thread at a time, because two calls of ast.parse at once can fail in Python 3.11."""
    with _parsing:
        return ast.parse(text, mode=mode)


@lru_cache(maxsize=1024)
def digest_of(text: str) -> str:
    """Return the key of a text. Where what is left out might be code, nothing is left out."""
    text = _with_newlines(text)
    try:
        lines = _code(text) if encoding(text) == "utf-8" else None
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        lines = None
    return keys.key("source", text if lines is None else lines)


def encoding(text: str) -> str:
    """Return the encoding that Python reads the file in. SyntaxError for one that it does not know."""
    found, _ = tokenize.detect_encoding(io.BytesIO(text.encode(errors="surrogateescape")).readline)
    return codecs.lookup(found).name


def docstrings(tree: ast.AST) -> list[ast.Expr]:
    """Return the statements of a tree that are docstrings."""
    owners = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    first = [owner.body[0] for owner in owners if owner.body and ast.get_docstring(owner, clean=False) is not None]
    return [node for node in first if isinstance(node, ast.Expr)]


def _with_newlines(text: str) -> str:
    """End lines as Python's parser ends them: a carriage return ends one, a form feed does not."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _code(text: str) -> list[str] | None:
    """Return the lines that count; None where they are not the same program as the whole text."""
    tree = parsed(text)
    lines = _without_comments(text)
    inside = {row for span in _strings(tree) for row in range(span[0], span[2])}
    alone = [span for span in map(_span, docstrings(tree)) if _alone(lines, span)]
    kept = _kept(lines, inside, alone)
    marked = {span[0]: " " * span[1] + '""' for span in alone}
    same = [marked.get(row, line) for row, line in enumerate(lines, 1)]
    for first, _, last, _ in alone:
        same[first:last] = [""] * (last - first)
    return kept if _shape(parsed("\n".join(same))) == _shape(tree) else None


def _kept(lines: list[str], inside: set[int], alone: list[_Span]) -> list[str]:
    """Return the lines of code; every line that ends inside a string stays as it is, blank ones too."""
    gone = {row for first, _, last, _ in alone for row in range(first, last + 1)}
    numbered = [(row, line if row in inside else line.rstrip()) for row, line in enumerate(lines, 1) if row not in gone]
    return [line for row, line in numbered if line or row in inside]


def _without_comments(text: str) -> list[str]:
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return lines


def _strings(tree: ast.AST) -> list[_Span]:
    """Return where strings of several lines stand, docstrings left out."""
    own = {id(node.value) for node in docstrings(tree)}
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr) and id(n) not in own]
    return [span for span in map(_span, nodes) if span[2] > span[0]]


def _span(node: ast.expr | ast.stmt) -> _Span:
    return node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0


def _alone(lines: list[str], span: _Span) -> bool:
    """Whether nothing but a docstring stands on its lines."""
    first, start, last, end = span
    before, after = lines[first - 1].encode()[:start], lines[last - 1].encode()[end:]
    return not before.strip(b" \t\f") and not after.strip(b" \t\f")


def _shape(tree: ast.AST) -> str:
    """Describe a program without its docstrings."""
    for node in docstrings(tree):
        node.value = ast.Constant("")
    return ast.dump(tree)
