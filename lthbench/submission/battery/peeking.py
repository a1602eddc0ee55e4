"""What a method touches beyond what it is given: files, the network, other programs, and the inside of lthbench.

This finds the careless and the curious. What keeps test data from method code is that no process which runs it loads any,
and that what is published is trained again.
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
READERS = frozenset(("linecache", "warnings", "traceback", "tokenize"))  # they read source to show a line of it

_told: list[str] | None = None  # what the audit hook tells while somebody is watching
_hooked = False


def private(file: Path) -> list[str]:
    """Where a method file imports from inside lthbench, or uses a private attribute of what it is given."""
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
    """What code of method files opens, connects to or starts meanwhile; what operations read for it does not count."""
    global _told, _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # which stays as long as the process does
        _hooked = True
    told: list[str] = []
    _told = told
    try:
        yield told
    finally:
        _told = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _told is None or event not in EVENTS:
        return
    if frame := _method_frame(sys._getframe(1)):
        what = arguments[1] if event == "socket.connect" else (arguments or ("",))[0]
        _told.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {EVENTS[event]} {what}")


def _method_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of a method file, unless lthbench or an import stands before it."""
    while frame:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(registry.MODULES):
            return frame
        if name in READERS or name.startswith(("importlib", "_frozen_importlib")) or _of_lthbench(name):
            return None
        frame = frame.f_back
    return None


def _of_lthbench(name: str) -> bool:
    """Whether a module reads on its own account: all of lthbench but the data, which only operations ask for."""
    return name.startswith("lthbench.") and not name.startswith("lthbench.data")


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def _root(node: ast.expr) -> str:
    """The name that a chain of attributes begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
