"""The digest of a method's code, without comments, docstrings and blank lines, and of the author's modules it imports."""

import ast
import codecs
import importlib.util
import io
import site
import sys
import sysconfig
import threading
import tokenize
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType

from lthbench import keys

_PACKAGE = __name__.partition(".")[0]
_parsing = threading.Lock()
_Span = tuple[int, int, int, int]  # first row and column, last row and column; columns in bytes


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without the byte-order mark that some editors put in front."""
    return path.read_text(encoding="utf-8-sig")


def read(path: Path) -> str:
    """Return the text of a Python file as Python reads it: a byte-order mark or a coding line decides its encoding."""
    return decode_source(path.read_bytes())


def whole(path: Path, module: str = "") -> str:
    """Return a key of the code in a file and in every module of the author's own that it imports, directly or not.

    `module` is the name under which the file is loaded. Its own modules are those that neither come with Python, nor are
    installed, nor belong to lthbench; other modules of an installed `module`'s package count too. A file that imports
    none has the key that `digest` gives.
    """
    return joined(digest(path), {name: digest(file) for name, file in own_modules(path, module).items()})


def joined(digest: str, modules: dict[str, str]) -> str:
    """Return the key of a file's code and of the modules that it imports, from their digests by name."""
    return keys.key("modules", digest, modules) if modules else digest


def own_modules(path: Path, module: str = "") -> dict[str, Path]:
    """Return the files of the author's own modules that a file imports, by module name."""
    found: dict[str, Path] = {}
    todo = [(path, _parent(path, module))]
    names = [*_imported(read(path), todo[0][1]), *_held(sys.modules.get(module))]
    while True:
        for name in names:
            file = _own_file(name, path, module)
            if file and file != path and name not in found:
                found[name] = file
                todo.append((file, _parent(file, name)))
        todo.pop(0)
        if not todo:
            return found
        names = list(_imported(read(todo[0][0]), todo[0][1]))


def digest(path: Path) -> str:
    """Return a key of the code in a file. Editing a comment or a docstring leaves it as it is, in every Python version."""
    try:
        return digest_of(read(path))
    except (SyntaxError, UnicodeDecodeError):
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


def _parent(file: Path, module: str) -> str:
    """Return the package that relative imports in the file of a module start from."""
    return module if file.name == "__init__.py" else module.rpartition(".")[0]


@lru_cache(maxsize=1024)
def _imported(text: str, package: str) -> tuple[str, ...]:
    """Name the modules that a text may import, with the packages that they lie in."""
    try:
        nodes = list(ast.walk(parsed(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    names = [name for node in nodes for name in _named(node, package)]
    return tuple(
        dict.fromkeys(".".join(parts[: n + 1]) for parts in (x.split(".") for x in names) for n in range(len(parts)))
    )


def _named(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    up = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
    start = ".".join(filter(None, (up, node.module)))
    return [start, *(f"{start}.{alias.name}" for alias in node.names)] if start else []


def _held(module: ModuleType | None) -> Iterator[str]:
    """Name the modules that the variables of a module come from, however they were imported."""
    for value in list(vars(module).values()) if module else ():
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name != "__main__":
            yield name


def _own_file(name: str, path: Path, module: str) -> Path | None:
    """Return the file of a module, where the author of the method file at `path` wrote it; else None."""
    top = name.partition(".")[0]
    if top in (_PACKAGE, "__main__") or top.startswith(f"{_PACKAGE}_method_"):
        return None
    file = (
        _loaded(name)
        or _below(_loaded(top) or _findable(top), name)
        or _below(path.with_name("__init__.py"), f".{name}")
    )
    same_package = "." in module and top == module.partition(".")[0]
    return file if file and file.suffix == ".py" and (same_package or not _installed(file)) else None


def _loaded(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file) if isinstance(file, str) and Path(file).is_file() else None


def _findable(top: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def _below(root: Path | None, name: str) -> Path | None:
    """Return the file of a module in the package whose `__init__.py` is the root."""
    _, *rest = name.split(".")
    if not root or (rest and root.name != "__init__.py"):
        return None
    base = root.parent.joinpath(*rest)
    places = (base.with_suffix(".py"), base / "__init__.py") if rest else (root,)
    return next((place for place in places if place.is_file()), None)


@lru_cache(maxsize=1024)
def _installed(file: Path) -> bool:
    return any(folder in file.resolve().parents for folder in _installations())


@cache
def _installations() -> tuple[Path, ...]:
    """Return the folders that Python and installed packages lie in."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple({Path(path).resolve() for path in (*paths, *site.getsitepackages(), site.getusersitepackages())})
