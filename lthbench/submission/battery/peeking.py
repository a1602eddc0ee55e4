"""Checks for access beyond the objects that a method is given: files, the network, programs, lthbench's internals.

This finds careless and curious code. Test data is protected otherwise: no process that runs method code loads it, and
published runs are trained again.
"""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from lthbench import source
from lthbench.methods import registry

EVENTS = {
    "open": "opens",
    "mmap.__new__": "maps",
    "ctypes.dlopen": "loads",
    "os.listdir": "lists",
    "os.scandir": "lists",
    "socket.connect": "connects to",
    "subprocess.Popen": "starts",
    "os.system": "starts",
    "os.posix_spawn": "starts",
}

_told: list[str] | None = None  # findings of the audit hook while `watched` is active
_hooked = False


def private(file: Path) -> list[str]:
    """Return the lines where a method file imports lthbench's internals, or uses a private attribute."""
    tree = source.parsed(source.read(file))
    nodes = list(ast.walk(tree))
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    found = [(n.lineno, f"imports {m}") for n in imports for m in _modules(n) if m.startswith("lthbench.")]
    free = {"self", "cls", *((alias.asname or alias.name).partition(".")[0] for n in imports for alias in n.names)}
    found += [
        (n.lineno, f"uses {ast.unparse(n)}")
        for n in nodes
        if isinstance(n, ast.Attribute)
        and n.attr.startswith("_")
        and not n.attr.startswith("__")
        and _root(n) not in free
    ]
    return [f"{file.name}:{line} {what}: a method is given what `import lthbench` offers" for line, what in found]


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect everything that code of method files opens, connects to or starts. Reads by operations do not count."""
    global _told, _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # an audit hook stays until the process ends
        _hooked = True
    told: list[str] = []
    _told = told
    try:
        yield told
    finally:
        _told = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _told is None or event not in EVENTS or (event == "open" and _shows_source(arguments[0], sys._getframe(1))):
        return
    if frame := _method_frame(sys._getframe(1)):
        what = arguments[1] if event == "socket.connect" else (arguments or ("",))[0]
        _told.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {EVENTS[event]} {what}")


def _shows_source(path: Any, frame: FrameType | None) -> bool:
    """Say whether `linecache` reads Python source, which warnings and tracebacks show a line of."""
    while frame and frame.f_globals.get("__name__") == "tokenize":
        frame = frame.f_back
    return str(path).endswith(".py") and frame is not None and frame.f_globals.get("__name__") == "linecache"


def _method_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of a method file, unless lthbench or an import comes before it."""
    while frame:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(registry.MODULES):
            return frame
        if name.startswith(("importlib", "_frozen_importlib")) or _of_lthbench(name):
            return None
        frame = frame.f_back
    return None


def _of_lthbench(name: str) -> bool:
    """Say whether a module is lthbench's own and may read files. The data modules are not, as only operations use them."""
    return name.startswith("lthbench.") and not name.startswith("lthbench.data")


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def _root(node: ast.expr) -> str:
    """Return the name that a chain of attributes begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
