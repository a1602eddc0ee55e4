"""Privileges: a process gives up its capabilities for good, and ends when the one that started it does."""

import ctypes
import os
import signal

DEATH_SIGNAL, DUMPABLE, DROP_BOUND, NO_NEW_PRIVS, AMBIENT, CLEAR_ALL = 1, 4, 24, 38, 47, 4  # of prctl
VERSION_3 = 0x20080522  # of capset


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends. OSError where it has ended already."""
    _prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        raise OSError("the supervisor ended before the method began")


def drop() -> None:
    """Give up every capability. OSError for user 0, who owns files that capabilities do not count for."""
    if 0 in os.getresuid():
        raise OSError("a method does not run as user 0")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(AMBIENT, CLEAR_ALL, 0, 0, 0)
    _prctl(NO_NEW_PRIVS, 1)
    header, none = _Header(VERSION_3, 0), (_Data * 2)()
    if libc.capset(ctypes.byref(header), ctypes.byref(none)):
        raise OSError(ctypes.get_errno(), "capabilities stay")
    with open("/proc/self/status") as file:  # noqa: PTH123
        left = [line for line in file if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb"))]
    if any(int(line.split()[1], 16) for line in left):
        raise OSError("capabilities stay")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
