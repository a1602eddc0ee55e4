"""Rules that a submitted source is held to without being run: what it imports, names and carries.

They find what is plain to see. What keeps a method from test data is that it runs confined, and that the verifier draws
seeds and permutes classes that the author has not seen.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lthbench import source

LINE = 1000  # characters
CODE = 16_000  # bytes without comments and docstrings: the largest baseline has 2,400
LITERALS = 400  # bytes of all numbers and texts together: the most in a baseline is 240
LITERAL = 120  # bytes of one
NAMES = 3000  # bytes of all names together, each counted once: the most in a baseline is 350
NAME = 60
OFFERED = ("lthbench", "torch", "numpy")
STANDARD = {
    "__future__", "abc", "collections", "collections.abc", "copy", "dataclasses", "enum", "functools", "itertools", "math",
    "operator", "typing",
}  # fmt: skip
MODULES = {
    "builtins", "ctypes", "importlib", "inspect", "io", "multiprocessing", "os", "pathlib", "pickle", "shutil", "socket",
    "subprocess", "sys", "threading",
}  # fmt: skip
REFUSED = MODULES | {
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "getattr", "globals", "input", "locals", "open",
    "setattr", "vars",
}  # fmt: skip


@dataclass(frozen=True)
class Declared:
    """What a source says of a method of its: the track, and the method that it is a control of."""

    track: str = "one-shot"
    control_of: str | None = None


def problems(sources: Mapping[str, str]) -> Iterator[str]:
    """Yield what the files of a source, by name, may not hold, each with its line. Sizes are those of all files together."""
    trees = []
    own = {name.removesuffix(".py") for name in sources} - {"method"}
    for name, text in sources.items():
        try:
            trees.append(_parsed(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            yield f"{name} {error}" if isinstance(error, _Unread) else f"{name} cannot be parsed: {error}"
            return
        yield from (f"{name}:{line} {what}" for line, what in _found(trees[-1], own))
    yield from _sizes(trees, "method.py" if len(trees) == 1 else ", ".join(sources))


class _Unread(ValueError):
    """A text that is not parsed at all."""


def _parsed(text: str) -> ast.AST:
    if (longest := max(map(len, text.splitlines()), default=0)) > LINE:
        raise _Unread(f"has a line of {longest:,} characters; at most {LINE:,} are read")
    if source.encoding(text) != "utf-8":
        raise SyntaxError(f"it is written in {source.encoding(text)}, not UTF-8")
    return source.parsed(text)


def declared(text: str, name: str) -> Declared | None:
    """Return what @method or @at_init says of a method of this name; None where no name is written out like that."""
    for node in ast.walk(source.parsed(text)):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            said, called = str(node.args[0].value), ast.unparse(node.func).rpartition(".")[2]
            if called == "method" and said == name:
                given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
                return Declared(str(given.get("track", "one-shot")), given.get("control_of"))  # type: ignore[arg-type]
            if called == "at_init" and name in (said, f"{said}-long"):
                return Declared()
            if called == "at_init" and name in (f"{said}-shuffled", f"{said}-reinit"):
                return Declared(control_of=said)
    return None


def _found(tree: ast.AST, modules: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Yield lines and what is wrong there; `modules` are the source's own."""
    own = {"self", "cls"}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (
                    (node.lineno, f"imports {a.name}: {_offer()}")
                    for a in names
                    if a.name not in modules and not _may_import(a.name)
                )
            case ast.ImportFrom(module=module, level=level):
                if level or not (module in modules or _may_import(module or "")):
                    yield node.lineno, f"imports {'.' * level}{module or ''}: {_offer()}"
                yield from ((node.lineno, f"imports {a.name}") for a in node.names if _hidden(a.name))
            case ast.Name(id=name) if name in REFUSED or (_hidden(name) and name.startswith("__")):
                yield node.lineno, f"uses {name}, which a method has no use for"
            case ast.Attribute(attr=name) if name in MODULES or _hidden(name):
                if not (isinstance(node.value, ast.Name) and node.value.id in own and not name.startswith("__")):
                    yield node.lineno, f"uses .{name}: a method is given what `import lthbench` offers"


def _sizes(trees: list[ast.AST], named: str) -> Iterator[str]:
    nodes = [node for tree in trees for node in ast.walk(_without_docstrings(tree))]
    code = sum(len(ast.unparse(tree).encode()) for tree in trees)
    if code > CODE:
        yield f"{named}: {code:,} bytes of code; at most {CODE:,} are taken"
    literals = [_written(n.value) for n in nodes if isinstance(n, ast.Constant)]
    if sum(literals) > LITERALS or max(literals, default=0) > LITERAL:
        yield (
            f"{named}: {sum(literals):,} bytes of numbers and texts, {max(literals):,} in one; at most {LITERALS} "
            f"and {LITERAL} are taken, so that a source carries no weights"
        )
    names = {name.encode() for name in _names(nodes)}
    if sum(map(len, names)) > NAMES or max(map(len, names), default=0) > NAME:
        yield f"{named}: {sum(map(len, names)):,} bytes of names; at most {NAMES:,}, and {NAME} in one, are taken"


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in source.docstrings(tree):
        node.value = ast.Constant("")
    return tree


def _written(value: object) -> int:
    """Return the bytes that a literal is written in; what stands in every program counts nothing."""
    if value is None or value is Ellipsis or isinstance(value, bool):
        return 0
    if isinstance(value, int) and value.bit_length() > 8 * LITERAL:
        return value.bit_length() // 2
    return len(value if isinstance(value, bytes) else str(value).encode(errors="replace"))


def _names(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        for _, value in ast.iter_fields(node):
            if isinstance(value, str) and not isinstance(node, ast.Constant):
                yield value
            elif isinstance(value, list):
                yield from (item for item in value if isinstance(item, str))


def _may_import(module: str) -> bool:
    root, _, rest = module.partition(".")
    if root == "lthbench":
        return not rest
    return module in STANDARD or (root in OFFERED and not any(_hidden(p) or p in MODULES for p in module.split(".")))


def _hidden(name: str) -> bool:
    return name.startswith("_") and name not in ("_", "__init__", "__post_init__", "__call__", "__name__")


def _offer() -> str:
    plain = ", ".join(sorted(STANDARD)[1:4])
    return f"a submission imports {', '.join(OFFERED)}, modules beside it and plain ones of the standard library ({plain}, …)"
