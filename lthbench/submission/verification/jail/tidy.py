"""Removal of what a stranger's process left, however deep, long or locked its folders are."""

import contextlib
import os
import stat


def remove(root: str) -> None:
    """Remove a folder. Folders inside folders are moved up first, so that no path grows long. Nothing may be using it."""
    number = 0
    _unlock(root)
    while names := os.listdir(root):  # noqa: PTH208
        for name in names:
            path = os.path.join(root, name)  # noqa: PTH118
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)  # noqa: PTH108
                continue
            _unlock(path)
            for inner in os.listdir(path):  # noqa: PTH208
                below = os.path.join(path, inner)  # noqa: PTH118
                if stat.S_ISDIR(os.lstat(below).st_mode):
                    _unlock(below)
                    number += 1
                    os.rename(below, os.path.join(root, f".{number}.{os.getpid()}"))  # noqa: PTH104, PTH118
                else:
                    os.unlink(below)  # noqa: PTH108
            os.rmdir(path)  # noqa: PTH106
    os.rmdir(root)  # noqa: PTH106


def _unlock(path: str) -> None:
    with contextlib.suppress(OSError):
        os.chmod(path, 0o700)  # noqa: PTH101
