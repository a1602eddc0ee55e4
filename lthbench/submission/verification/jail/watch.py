"""An audit hook that reports what a method tried. The kernel refuses it anyway: this is for the report, and is not a wall."""

import os
import sys
from collections.abc import Sequence
from typing import Any

MOST = 50  # attempts that are told
END = "-- the method ended --"  # told last, where nothing closed what tells
EVENTS = {
    "socket.__new__": "open a socket",
    "socket.getaddrinfo": "look up a host",
    "socket.gethostbyname": "look up a host",
    "os.fork": "start a process",
    "os.forkpty": "start a process",
    "os.posix_spawn": "start a process",
    "os.exec": "start a program",
    "os.system": "start a program",
    "subprocess.Popen": "start a program",
    "os.kill": "send a signal",
    "ctypes.dlopen": "load a library",
    "resource.prlimit": "change limits",
    "resource.setrlimit": "change limits",
    "os.setxattr": "change attributes",
    "os.removexattr": "change attributes",
    "os.utime": "change times",
    "os.chown": "change owners",
    "os.chmod": "change modes",
    "os.link": "make a link",
    "os.symlink": "make a link",
}
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate")


def watch(pipe: int, readable: Sequence[str], own: str) -> None:
    """Tell and refuse, from now on, what is listed above, reading outside `readable` and writing outside `own`."""
    told = 0
    roots = tuple(os.path.realpath(path) for path in (*readable, own))
    home = os.path.realpath(own)

    def inside(path: Any, folders: Sequence[str]) -> bool:
        real = os.path.realpath(os.fsdecode(path))
        return any(real == root or real.startswith(root + os.sep) for root in folders)

    def refusal(event: str, arguments: tuple[Any, ...]) -> str | None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path, flags = arguments[0], arguments[2] or 0
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) and path not in ("/dev/null", b"/dev/null"):
                return None if inside(path, (home,)) else f"write {os.fsdecode(path)}"
            name = os.fsdecode(path).rpartition(os.sep)[2]
            if name.startswith("test."):
                return f"read {name}"
            return None if inside(path, roots) or not os.path.lexists(path) else f"read {os.fsdecode(path)}"
        if event in CHANGES and isinstance(arguments[0], str | bytes) and not inside(arguments[0], (home,)):
            return f"change {os.fsdecode(arguments[0])}"
        return EVENTS.get(event)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal told
        if event != "open" and event not in EVENTS and event not in CHANGES:
            return
        tried = refusal(event, arguments)
        if tried is None:
            return
        told += 1
        if told <= MOST:
            os.write(pipe, (tried.replace("\n", " ")[:200] + "\n").encode(errors="replace"))
        raise PermissionError(f"a method may not {tried}")

    sys.addaudithook(hook)


def ended(pipe: int) -> None:
    """Tell that nothing more is told."""
    os.write(pipe, f"{END}\n".encode())
