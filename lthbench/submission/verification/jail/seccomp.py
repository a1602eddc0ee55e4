"""Seccomp: a process gives up system calls for good. New processes, programs and sockets answer "not permitted".

https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import platform
import struct
import sys

SET_SECCOMP, NO_NEW_PRIVS, FILTER = 22, 38, 2  # of prctl
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
THREAD = 0x00010000  # CLONE_THREAD
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions of classic BPF
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
FOREIGN = 0x40000000  # numbers of the x32 ABI begin here

# fmt: off
REFUSED = {  # by machine: AUDIT_ARCH, clone, clone3, and what is refused
    "x86_64": (0xC000003E, 56, 435, {
        "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "bind": 49, "listen": 50, "socketpair": 53,
        "fork": 57, "vfork": 58, "execve": 59, "ptrace": 101, "mount": 165, "chroot": 161, "unshare": 272,
        "keyctl": 250, "add_key": 248, "bpf": 321, "execveat": 322, "userfaultfd": 323, "perf_event_open": 298,
        "process_vm_readv": 310, "process_vm_writev": 311, "kexec_load": 246, "init_module": 175, "setns": 308,
        "pidfd_getfd": 438, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    }),
    "aarch64": (0xC00000B7, 220, 435, {
        "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "sendto": 206,
        "execve": 221, "ptrace": 117, "mount": 40, "chroot": 51, "unshare": 97, "keyctl": 219, "add_key": 217,
        "bpf": 280, "execveat": 281, "userfaultfd": 282, "perf_event_open": 241, "process_vm_readv": 270,
        "process_vm_writev": 271, "kexec_load": 104, "init_module": 105, "setns": 268, "pidfd_getfd": 438,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    }),
}
# fmt: on


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Whether there is a table for this machine, and the kernel takes filters."""
    if sys.platform != "linux" or platform.machine() not in REFUSED:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(SET_SECCOMP, FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT  # from a kernel that would take a filter


def confine() -> None:
    """Refuse what is listed to this process and its threads. OSError where the kernel will not."""
    program = _program(platform.machine())
    filter_ = _Program(len(program) // 8, program)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(filter_), 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _program(machine: str) -> bytes:
    """The filter in classic BPF: jumps say how many instructions to skip where it holds, and where not."""
    architecture, clone, clone3, refused = REFUSED[machine]
    no = REFUSE | errno.EPERM
    code = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    code += [(AT_LEAST, 0, 1, FOREIGN), (RETURN, 0, 0, no)]
    for number in sorted(set(refused.values())):
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, no)]
    code += [(EQUAL, 0, 1, clone3), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]  # libc falls back to clone
    code += [(EQUAL, 0, 3, clone), (LOAD, 0, 0, FIRST_ARGUMENT), (ANY_BIT, 1, 0, THREAD), (RETURN, 0, 0, no)]
    code += [(RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
