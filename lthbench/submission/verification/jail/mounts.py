"""Folders that another user may reach although they lie in a folder that is closed to it, such as Python in /root.

In a mount namespace of its own, a closed folder is covered by an empty one, in which only what is needed is mounted again.
That takes user 0 with CAP_SYS_ADMIN; no other process sees it.
"""

import ctypes
import os
import stat
from collections.abc import Sequence

NEW_MOUNTS = 0x00020000  # CLONE_NEWNS
BIND, RECURSIVE, PRIVATE = 1 << 12, 1 << 14, 1 << 18  # of mount(2)


def closed(path: str) -> str | None:
    """Return the first folder above a path that others may not go through."""
    parents = [path]
    while (above := os.path.dirname(parents[-1])) != parents[-1]:  # noqa: PTH120
        parents.append(above)
    return next((p for p in reversed(parents[1:]) if not os.stat(p).st_mode & stat.S_IXOTH), None)  # noqa: PTH116


def expose(paths: Sequence[str]) -> None:
    """Let everybody who sees this process's mounts reach these folders. OSError where the kernel will not."""
    covered: dict[str, list[str]] = {}
    for path in paths:
        if (folder := closed(path)) is not None:
            covered.setdefault(folder, []).append(path)
    if not covered:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(NEW_MOUNTS))
    _mount(libc, "none", "/", "", RECURSIVE | PRIVATE)
    for folder, inside in covered.items():
        handles = [(path, os.open(path, os.O_PATH)) for path in _outermost(inside)]
        _mount(libc, "none", folder, "tmpfs", 0, "mode=755,size=1m")
        for path, handle in handles:
            os.makedirs(path, 0o755, exist_ok=True)  # noqa: PTH103
            _mount(libc, f"/proc/self/fd/{handle}", path, "", BIND | RECURSIVE)
            os.close(handle)


def _outermost(paths: Sequence[str]) -> list[str]:
    found: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(other + os.sep) for other in found):
            found.append(path)
    return found


def _mount(libc: ctypes.CDLL, source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None))


def _check(code: int) -> None:
    if code < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
