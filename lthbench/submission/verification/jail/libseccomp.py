"""The same filter as in `seccomp`, made by libseccomp. https://github.com/seccomp/libseccomp"""

import ctypes
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

if __package__:
    from lthbench.submission.verification.jail import calls
else:  # run as part of a folder
    import calls  # type: ignore[no-redef]

ALLOW, REFUSE = 0x7FFF0000, 0x00050000
EQUAL, MASKED = 4, 7  # comparisons of scmp_compare
NAMES = ("libseccomp.so.2",)


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@cache
def library() -> ctypes.CDLL | None:
    """Load libseccomp; None where it is not installed."""
    for name in NAMES:
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        found.seccomp_init.restype = ctypes.c_void_p
        return found
    return None


def confine(machine: str, pid: int) -> None:
    """Leave this process and its threads the calls that are listed. OSError where the kernel will not."""
    with _filter(machine, pid) as (found, context):
        _check(found.seccomp_load(context))


def program(machine: str, pid: int) -> bytes:
    """Return the filter as classic BPF, which tests read."""
    with _filter(machine, pid) as (found, context), tempfile.TemporaryFile() as file:
        _check(found.seccomp_export_bpf(context, file.fileno()))
        file.seek(0)
        return file.read()


@contextmanager
def _filter(machine: str, pid: int) -> Iterator[tuple[ctypes.CDLL, ctypes.c_void_p]]:
    found = library()
    if found is None:
        raise OSError(errno.ENOENT, "libseccomp is not installed")
    context = ctypes.c_void_p(found.seccomp_init(ctypes.c_uint32(REFUSE | errno.EPERM)))
    at = calls.MACHINES[machine][0]
    for number in calls.numbers(machine).values():
        _rule(found, context, ALLOW, number)
    for pair, argument, values in calls.SOME.values():
        for value in values:
            _rule(found, context, ALLOW, pair[at], (argument, MASKED, 0xFFFFFFFF, value))
    _rule(found, context, ALLOW, calls.TGKILL[at], (0, MASKED, 0xFFFFFFFF, pid))
    _rule(found, context, ALLOW, calls.PRLIMIT[at], (0, MASKED, 0xFFFFFFFF, 0), (2, EQUAL, 0, 0))
    _rule(found, context, ALLOW, calls.CLONE[at], (0, MASKED, calls.THREAD, calls.THREAD))
    _rule(found, context, REFUSE | errno.ENOSYS, calls.CLONE3[at])
    try:
        yield found, context
    finally:
        found.seccomp_release(context)


def _rule(
    found: ctypes.CDLL, context: ctypes.c_void_p, action: int, number: int | None, *compare: tuple[int, int, int, int]
) -> None:
    if number is not None:
        array = (_Compare * max(1, len(compare)))(*(_Compare(*one) for one in compare))
        _check(found.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(compare), array))


def _check(code: int) -> None:
    if code < 0:
        raise OSError(-code, os.strerror(-code))
