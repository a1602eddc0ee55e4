"""The digest of a method's code, without comments, docstrings and blank lines, and of the author's modules it imports."""

import ast
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
    found = own_modules(path, module)
    return (
        keys.key("modules", digest(path), {name: digest(file) for name, file in found.items()})
        if found
        else digest(path)
    )


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
    return digest_of(read(path))


def parsed(text: str, mode: str = "exec") -> ast.AST:
    """Return the syntax tree of a text. One thread parses at a time: in Python 3.11, two at once can fail."""
    with _parsing:
        return ast.parse(text, mode=mode)


@lru_cache(maxsize=1024)
def digest_of(text: str) -> str:
    """Return a key of the code in a text."""
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
    """Return the first and last lines of the docstrings."""
    owners = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    first = [owner.body[0] for owner in owners if owner.body and ast.get_docstring(owner) is not None]
    return [(node.lineno, node.end_lineno or node.lineno) for node in first]


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


def _installed(file: Path) -> bool:
    return any(folder in file.resolve().parents for folder in _installations())


@cache
def _installations() -> tuple[Path, ...]:
    """Return the folders that Python and installed packages lie in."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple({Path(path).resolve() for path in (*paths, *site.getsitepackages(), site.getusersitepackages())})
