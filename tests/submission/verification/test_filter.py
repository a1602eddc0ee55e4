"""Both makers of the filter of system calls answer alike, and refuse what is not listed."""

import errno
import struct

import pytest

from lthbench.submission.verification.jail import calls, libseccomp, seccomp

PID = 4711
ALLOWED, NO, NONE = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
X86 = calls.MACHINES["x86_64"][1]


def answer(program: bytes, number: int, *arguments: int, architecture: int = X86) -> int:
    """Run a filter in classic BPF on one call."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(arguments + (0,) * 6)[:6])
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        what, yes, no, k = code[at]
        at += 1
        if what == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
        elif what == 0x06:
            return k
        elif what == 0x05:
            at += k
        elif what == 0x54:
            value &= k
        else:
            holds = {0x15: value == k, 0x25: value > k, 0x35: value >= k, 0x45: bool(value & k)}[what]
            at += yes if holds else no


def programs(machine: str) -> list[bytes]:
    found = [seccomp.program(machine, PID)]
    if libseccomp.library() and machine == "x86_64":
        found.append(libseccomp.program(machine, PID))
    return found


@pytest.mark.parametrize("machine", sorted(calls.MACHINES))
def test_what_is_not_listed_is_refused(machine: str) -> None:
    at, architecture = calls.MACHINES[machine]
    listed = set(calls.numbers(machine).values())
    some = {pair[at] for pair, _, _ in calls.SOME.values()} | {
        p[at] for p in (calls.PRLIMIT, calls.TGKILL, calls.CLONE)
    }
    for program in programs(machine):
        for number in range(600):
            said = answer(program, number, 2**64 - 1 - calls.THREAD, 2**64 - 1, 2**64 - 1, architecture=architecture)
            if number == calls.CLONE3[at]:
                assert said == NONE
            elif number in some:
                assert said == NO, number
            else:
                assert said == (ALLOWED if number in listed else NO), number


@pytest.mark.parametrize(
    ("number", "arguments", "allowed"),
    [
        (302, (0, 9, 0, 1), True),  # prlimit of itself, to read
        (302, (0, 9, 1), False),  # to write
        (302, (0, 9, 1 << 32), False),  # to write, with an address whose lower half is 0
        (302, (1, 9, 0), False),  # of another process
        (234, (PID, PID, 6), True),  # tgkill of itself
        (234, (PID + 1, PID, 6), False),
        (56, (calls.THREAD | 0x100,), True),
        (56, (0x11,), False),  # fork
        (72, (3, 2, 1), True),  # fcntl: close on exec
        (72, (3, 1024, 1), False),  # a lease on a file
        (72, (3, 1026, 1), False),  # a watch on a folder
        (72, (3, 8, 1), False),  # a signal to others
        (16, (1, 0x5401), True),
        (16, (1, 0x5412), False),  # typing into a terminal
        (16, (1, 0x40086602), False),  # attributes of a file
        (157, (15,), True),
        (157, (1, 0), False),  # outliving the supervisor
        (157, (4, 0), False),  # hiding from the supervisor
        (157, (22,), False),
    ],
)
def test_arguments_count(number: int, arguments: tuple[int, ...], allowed: bool) -> None:
    for program in programs("x86_64"):
        assert (answer(program, number, *arguments) == ALLOWED) is allowed


@pytest.mark.parametrize(
    "name",
    """90 chmod, 91 fchmod, 92 chown, 93 fchown, 94 lchown, 132 utime, 235 utimes, 260 fchownat, 261 futimesat, 268 fchmodat,
    280 utimensat, 452 fchmodat2, 188 setxattr, 190 fsetxattr, 197 removexattr, 463 setxattrat, 466 removexattrat, 76 truncate,
    285 fallocate, 319 memfd_create, 447 memfd_secret, 29 shmget, 30 shmat, 64 semget, 68 msgget, 240 mq_open, 62 kill,
    129 rt_sigqueueinfo, 424 pidfd_send_signal, 434 pidfd_open, 141 setpriority, 144 sched_setscheduler, 203 sched_setaffinity,
    251 ioprio_set, 160 setrlimit, 253 inotify_init, 294 inotify_init1, 300 fanotify_init, 170 sethostname, 103 syslog,
    169 reboot, 313 finit_module, 173 ioperm, 163 acct, 249 request_key, 428 open_tree, 430 fsopen, 165 mount, 41 socket,
    57 fork, 59 execve, 101 ptrace, 310 process_vm_readv, 425 io_uring_setup, 321 bpf, 323 userfaultfd, 86 link, 88 symlink,
    161 chroot, 272 unshare, 308 setns, 135 personality, 149 mlock, 157 prctl, 105 setuid""".replace("\n", " ").split(", "),
)  # fmt: skip
def test_attacks_of_the_review_are_refused(name: str) -> None:
    for program in programs("x86_64"):
        assert answer(program, int(name.split()[0])) == NO


def test_other_machines_and_other_numberings_are_refused() -> None:
    for program in programs("x86_64"):
        assert answer(program, 0, architecture=0x40000003) in (0, 0x80000000)  # 32 bits: killed
        assert answer(program, 0x40000000 | 1) != ALLOWED  # x32
