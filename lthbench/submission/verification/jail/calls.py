"""System calls that a confined process may make, by number on x86-64 and aarch64; None where a machine has no such call.

What is not listed is refused: new processes, programs and sockets, shared memory, changes of modes, times, owners and
attributes, limits and priorities of others, watches on files, and whatever a later kernel adds.
"""

# fmt: off
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # files: what may be opened is Landlock's to say
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287), "open": (2, None),
    "openat": (257, 56), "openat2": (437, 437), "close": (3, 57), "close_range": (436, 436), "lseek": (8, 62),
    "stat": (4, None), "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "statfs": (137, 43), "fstatfs": (138, 44), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50),
    "getdents": (78, None), "getdents64": (217, 61), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "ftruncate": (77, 46), "fsync": (74, 82), "fdatasync": (75, 83), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "sendfile": (40, 71), "umask": (95, 166),
    "fadvise64": (221, 223), "readahead": (187, 213),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22), "eventfd2": (290, 19),
    # memory of its own, which RLIMIT_AS counts
    "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226), "madvise": (28, 233),
    "brk": (12, 214), "msync": (26, 227), "mincore": (27, 232), "membarrier": (324, 283),
    # threads and signals of its own
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigsuspend": (130, 133),
    "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "pause": (34, None), "exit": (60, 93), "exit_group": (231, 94), "wait4": (61, 260), "waitid": (247, 95),
    "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "set_tid_address": (218, 96), "rseq": (334, 293), "sched_yield": (24, 124), "getcpu": (309, 168),
    # questions
    "sched_getaffinity": (204, 123), "getpriority": (140, 141), "gettid": (186, 178), "getpid": (39, 172),
    "getppid": (110, 173), "getpgid": (121, 155), "getpgrp": (111, None), "getsid": (124, 156), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "uname": (63, 160), "sysinfo": (99, 179), "times": (100, 153), "getrusage": (98, 165),
    "getrlimit": (97, 163), "get_mempolicy": (239, 236), "getrandom": (318, 278),
    # the clock
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, None), "getitimer": (36, 102), "setitimer": (38, 103), "alarm": (37, None),
}

# Calls that are allowed for some values of one argument: name, numbers, position of the argument, values.
SOME: dict[str, tuple[tuple[int | None, int | None], int, tuple[int, ...]]] = {
    "fcntl": ((72, 25), 1, (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)),  # duplicates, flags and locks
    "ioctl": ((16, 29), 1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),  # what a terminal or a pipe is like
    "prctl": ((157, 167), 0, (15, 16, 0x53564D41)),  # the names of threads and of memory
}
PRLIMIT = (302, 261)  # allowed for the process itself, to read
TGKILL = (234, 131)  # allowed for the process itself: how abort(3) ends it
CLONE = (56, 220)  # allowed for threads
CLONE3 = (435, 435)  # answered "no such call": libc falls back to clone, whose flags a filter can see
# fmt: on

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # position in the pairs above, AUDIT_ARCH
THREAD = 0x00010000  # CLONE_THREAD


def numbers(machine: str) -> dict[str, int]:
    """Return the calls that are allowed whatever their arguments."""
    at = MACHINES[machine][0]
    return {name: number for name, pair in ALLOWED.items() if (number := pair[at]) is not None}
