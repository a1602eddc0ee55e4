"""Rules that a method's source is held to without being run: what it imports, names and carries.

They find what is plain to see: `check` and `submit` say it to the author, `verify` refuses it. What keeps a method from
test data is that it runs confined, and that the verifier draws seeds and permutes classes that the author has not seen.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lthbench import source

FILE = 64_000  # bytes of one file, with its comments
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
NAMED = MODULES | {
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "getattr", "globals", "input", "locals",
    "memoryview", "open", "quit", "setattr", "vars",
}  # fmt: skip
"""Names that reach files, other code, or the inside of the objects that a method is given."""

REACHING = {
    "load", "save", "from_file", "fromfile", "tofile", "memmap", "open_memmap", "loadtxt", "genfromtxt",
    "savez", "UntypedStorage", "TypedStorage", "untyped_storage", "frombuffer", "hub", "serialization",
    "multiprocessing", "distributed", "cpp_extension", "DataLoader", "ctypeslib", "ctypes", "load_url",
    "package", "f2py", "lib", "from_dlpack", "ops", "classes", "library", "register_module_forward_hook",
    "register_module_forward_pre_hook", "set_num_threads", "jit", "compiler",
}  # fmt: skip
"""Attributes through which files, processes, foreign code or the meter are reached."""

FOR_READERS = {"load_compact", "load_results", "load_ticket", "run_suite", "public"}
"""Public names of lthbench for readers of results, not for methods."""

WHY = "it reaches files, processes or foreign code"
LTHBENCH = "a method is given what `import lthbench` offers to authors"


@dataclass(frozen=True)
class Declared:
    """What a source says of a method of its: the track, and the method that it is a control of."""

    track: str = "one-shot"
    control_of: str | None = None


def problems(sources: Mapping[str, str]) -> Iterator[str]:
    """Yield what the files of a source, by name, may not hold, each with its line. The method's own file comes first.

    Sizes are those of all files together.
    """
    trees = []
    _, *helpers = sources
    own = {name.removesuffix(".py") for name in helpers}
    for name, text in sources.items():
        try:
            trees.append(_parsed(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            yield f"{name} {error}" if isinstance(error, _Unread) else f"{name} cannot be parsed: {error}"
            return
        yield from (f"{name}:{line} {what}" for line, what in sorted(set(_found(trees[-1], own))))
    try:
        yield from _sizes(trees, ", ".join(sources))
    except RecursionError:
        yield f"{', '.join(sources)}: an expression is nested too deeply to be read"


def text_of(content: bytes) -> str:
    """Return the text of a file, whatever its encoding: a rule is that it is UTF-8."""
    return content.decode(errors="surrogateescape")


class _Unread(ValueError):
    """A text that is not parsed at all."""


def _parsed(text: str) -> ast.AST:
    if (size := len(text.encode(errors="surrogateescape"))) > FILE:
        raise _Unread(f"has {size:,} bytes; at most {FILE:,} are read")
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


def contradiction(text: str, label: str, track: str, control_of: str | None) -> str | None:
    """Say how a source declares a method otherwise than its records do; None where it declares the same."""
    name = label.partition("[")[0]
    said = declared(text, name)
    if said is None:
        return f"has no @method({name!r}, …) with its name written out"
    if (said.track, said.control_of) != (track, control_of):
        return f"says track {said.track}, control of {said.control_of}; the records say otherwise"
    return None


def _found(tree: ast.AST, modules: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield lines and what is wrong there; `modules` are the source's own."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, what) for a in names for what in _imports(a.name, "", modules))
            case ast.ImportFrom(module=module, level=level, names=names):
                start = "." * level + (module or "")
                yield from ((node.lineno, what) for a in names for what in _imports(start, a.name, modules))
            case ast.Name(id=name) if name in NAMED or (_hidden(name) and name.startswith("__")):
                yield node.lineno, f"uses {name}: a method computes, and reaches nothing else"
            case ast.Attribute(attr=name) if name in REACHING:
                yield node.lineno, f"uses {_dotted(node)}: {WHY}"
            case ast.Attribute(attr=name) if name in FOR_READERS or (
                (name in MODULES or _hidden(name)) and not _own(node)
            ):
                yield node.lineno, f"uses {_dotted(node)}: {LTHBENCH}"


def _imports(module: str, name: str, own: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the import of a module, or of a name from it; "" for no name."""
    whole = f"{module}.{name}" if name else module
    parts = {*module.split("."), name}
    if module not in own and not _offered(module):
        yield f"imports {whole}: {LTHBENCH if module.startswith('lthbench.') else _offer()}"
    elif _hidden(name) or (module == "lthbench" and name in FOR_READERS):
        yield f"imports {whole}: {LTHBENCH}"
    elif module not in own and parts & (MODULES | REACHING):
        yield f"imports {whole}: {WHY}"


def _own(node: ast.Attribute) -> bool:
    """Say whether an attribute is one of a class's own: its method may hide and name these as it likes."""
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") and not node.attr.startswith("__")


def _dotted(node: ast.expr) -> str:
    """Return a chain of attributes as it is written; only its end, where it is long or does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute) and len(names) < 5:
        names.append(node.attr)
        node = node.value
    return ".".join([node.id if isinstance(node, ast.Name) else "", *reversed(names)])


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


def _offered(module: str) -> bool:
    root, _, rest = module.partition(".")
    if root == "lthbench":
        return not rest
    return module in STANDARD or (root in OFFERED and not any(map(_hidden, module.split("."))))


def _hidden(name: str) -> bool:
    return name.startswith("_") and name not in ("_", "__init__", "__post_init__", "__call__", "__name__")


def _offer() -> str:
    plain = ", ".join(sorted(STANDARD - {"__future__", "collections.abc"}))
    return f"a method imports {', '.join(OFFERED)}, modules beside it and of the standard library {plain}"
