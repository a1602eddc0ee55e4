"""The imports and names that a method file may use. They are read from its syntax tree before any of it runs."""

import ast
from collections.abc import Iterator
from pathlib import Path

from lthbench import source

IMPORTS = {
    "lthbench", "torch", "torch_pruning", "numpy", "math", "cmath", "statistics", "fractions", "numbers",
    "operator", "dataclasses", "typing", "collections", "functools", "itertools", "abc", "enum", "copy",
    "contextlib", "heapq", "bisect", "warnings", "__future__",
}  # fmt: skip
"""Modules that a method may import, with their submodules."""

NOT_OF_LTHBENCH = frozenset(["load_compact", "load_results", "load_ticket", "run_suite", "public"])
"""Public names for readers of results, not for methods."""

CALLS = {
    "open", "exec", "eval", "compile", "__import__", "globals", "locals", "vars", "input", "breakpoint",
    "setattr", "delattr", "memoryview", "exit", "quit",
}  # fmt: skip
"""Built-in functions that reach files, other code, or the inside of the objects that a method is given."""

ATTRIBUTES = {
    "load", "save", "from_file", "fromfile", "tofile", "memmap", "open_memmap", "loadtxt", "genfromtxt",
    "savez", "UntypedStorage", "TypedStorage", "untyped_storage", "frombuffer", "hub", "serialization",
    "multiprocessing", "distributed", "cpp_extension", "DataLoader", "ctypeslib", "ctypes", "load_url",
    "package", "f2py", "lib", "from_dlpack", "ops", "classes", "library", "register_module_forward_hook",
    "register_module_forward_pre_hook", "set_num_threads", "jit", "compiler",
}  # fmt: skip
"""Attributes through which files, processes, foreign code or the meter are reached."""

SPECIAL = {
    "__init__", "__post_init__", "__call__", "__name__", "__len__", "__iter__", "__getitem__", "__add__",
    "__mul__", "__sub__", "__or__", "__and__", "__eq__", "__hash__", "__repr__", "__contains__", "__doc__",
    "__class_getitem__",
}  # fmt: skip


def refused(file: Path) -> list[str]:
    """Return the forbidden imports and names of a method file, as `mine.py:9 imports os: …`, and of its own modules."""
    own = source.own_modules(file)
    found = {each: sorted(set(_refused(source.parsed(source.read(each)), set(own)))) for each in (file, *own.values())}
    return [f"{each.name}:{line} {what}: {why}" for each, lines in found.items() for line, what, why in lines]


def _refused(tree: ast.AST, own: set[str]) -> Iterator[tuple[int, str, str]]:
    offered = "a method may import lthbench, torch, numpy, torch_pruning, plain modules such as math and dataclasses, and files beside it"
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom():
                for name in _imported(node):
                    root, _, rest = name.partition(".")
                    if root in own:
                        continue
                    if root not in IMPORTS:
                        yield node.lineno, f"imports {name}", offered
                    elif root == "lthbench" and (rest.partition(".")[0] in NOT_OF_LTHBENCH or "." in rest):
                        yield (
                            node.lineno,
                            f"imports {name}",
                            "a method is given what `import lthbench` offers to authors",
                        )
                    elif set(rest.split(".")) & ATTRIBUTES:
                        yield node.lineno, f"imports {name}", "it reaches files, processes or foreign code"
            case ast.Name(id=name) if name in CALLS or name == "__builtins__":
                yield node.lineno, f"names {name}", "a method computes, and reaches nothing else"
            case ast.Attribute(attr=name) if name in ATTRIBUTES or (name in NOT_OF_LTHBENCH):
                yield node.lineno, f"uses {ast.unparse(node)}", "it reaches files, processes or foreign code"
            case ast.Attribute(attr=name) if name.startswith("__") and name not in SPECIAL:
                yield node.lineno, f"uses {ast.unparse(node)}", "it leads to the inside of Python's objects"
            case ast.Call(func=ast.Name(id="getattr"), args=[_, name, *_]) if _hidden(name):
                yield node.lineno, f"uses {ast.unparse(node)}", "an attribute is named in the text"


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]


def _hidden(name: ast.expr) -> bool:
    """Say whether the second argument of getattr is not a plain public name."""
    plain = isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("_")
    return not plain or name.value in ATTRIBUTES  # type: ignore[attr-defined]
