"""Landlock: a process gives up, for good, every file that is not listed. Linux 6.2 or newer, no privileges needed.

https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on x86-64 and aarch64
VERSION_FLAG, PATH_BENEATH = 1, 1
NO_NEW_PRIVS = 38  # of prctl
LEAST = 3  # the first version that knows of truncation

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
KNOWN = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # file rights by ABI; none were added after 5


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """Return the version that the kernel offers; 0 for none."""
    if sys.platform != "linux":
        return 0
    found = _libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    return max(0, found)


def confine(read: Iterable[str], listed: Iterable[str], write: Iterable[str]) -> None:
    """Leave this process what lies below `read` (to read), `listed` (to list its names) and `write` (everything).

    TCP, abstract sockets and signals to other processes go too, where the kernel can. OSError where it cannot do files.
    """
    version = abi()
    if version < LEAST:
        raise OSError(f"the kernel offers Landlock ABI {version}; {LEAST} is needed")
    every = (1 << KNOWN[min(version, 5)]) - 1
    rules = _Rules(every, 0b11 * (version >= 4), 0b11 * (version >= 6))
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    for paths, rights in ((read, READ_FILE | READ_DIR), (listed, READ_DIR), (write, every & ~EXECUTE)):
        for path in paths:
            _allow(ruleset, path, rights & every)
    if _libc().prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    _call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= OF_A_FILE
        rule = _Beneath(rights, handle)
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    found: int = _libc().syscall(number, *arguments)
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found
