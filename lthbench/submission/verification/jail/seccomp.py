"""Seccomp: a process gives up, for good, every system call that is not listed in `calls`.

libseccomp makes the filter where it is installed; otherwise it is written here in classic BPF.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import platform
import struct
import sys

if __package__:
    from lthbench.submission.verification.jail import calls, libseccomp
else:  # run as part of a folder
    import calls  # type: ignore[no-redef]
    import libseccomp  # type: ignore[no-redef]

SET_SECCOMP, NO_NEW_PRIVS, FILTER = 22, 38, 2  # of prctl
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions of classic BPF
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
FOREIGN = 0x40000000  # numbers of the x32 ABI begin here
NO, NONE = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS

Code = list[tuple[int, int, int, int]]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Say whether there is a table for this machine, and the kernel takes filters."""
    if sys.platform != "linux" or platform.machine() not in calls.MACHINES:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(SET_SECCOMP, FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT  # from a kernel that would take a filter


def maker() -> str:
    """Say what makes the filter here."""
    return "libseccomp" if libseccomp.library() else "BPF"


def confine(by: str | None = None) -> None:
    """Leave this process and its threads the calls that are listed. OSError where the kernel will not."""
    if (by or maker()) == "libseccomp":
        libseccomp.confine(platform.machine(), os.getpid())
        return
    code = program(platform.machine(), os.getpid())
    filter_ = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(filter_), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def program(machine: str, pid: int) -> bytes:
    """Return the filter in classic BPF: jumps say how many instructions to skip where it holds, and where not."""
    at, architecture = calls.MACHINES[machine]
    code: Code = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    code += [(AT_LEAST, 0, 1, FOREIGN), (RETURN, 0, 0, NO), (EQUAL, 0, 1, calls.CLONE3[at]), (RETURN, 0, 0, NONE)]
    for pair, argument, values in calls.SOME.values():
        code += _block(pair[at], _one_of(argument, values))
    code += _block(calls.TGKILL[at], _one_of(0, (pid,)))
    code += _block(calls.PRLIMIT[at], _prlimit())
    code += _block(calls.CLONE[at], [(LOAD, 0, 0, ARGUMENTS), (ANY_BIT, 0, 1, calls.THREAD), (RETURN, 0, 0, ALLOW)])
    for number in sorted(calls.numbers(machine).values()):
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    code += [(RETURN, 0, 0, NO)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _block(number: int | None, inside: Code) -> Code:
    """Return instructions that are taken for one call alone, and refuse it at their end."""
    if number is None:
        return []
    return [(EQUAL, 0, len(inside) + 1, number), *inside, (RETURN, 0, 0, NO)]


def _one_of(argument: int, values: tuple[int, ...]) -> Code:
    load = (LOAD, 0, 0, ARGUMENTS + 8 * argument)  # the lower half, which is all that these calls look at
    return [load, *(step for v in values for step in ((EQUAL, 0, 1, v), (RETURN, 0, 0, ALLOW)))]


def _prlimit() -> Code:
    """Allow where the process is 0, itself, and there are no new limits: a pointer of two halves."""
    return [
        (LOAD, 0, 0, ARGUMENTS), (EQUAL, 0, 5, 0),
        (LOAD, 0, 0, ARGUMENTS + 16), (EQUAL, 0, 3, 0),
        (LOAD, 0, 0, ARGUMENTS + 20), (EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip
