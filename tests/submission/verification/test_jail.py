"""A method that tries what it may not gets nothing, and is reported."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lthbench.data import DataHome
from lthbench.errors import InputError
from lthbench.methods.internals.setting import settings
from lthbench.runs.records.record import Result, parse
from lthbench.submission.verification import sandbox
from lthbench.submission.verification.jail import landlock, seccomp
from lthbench.submission.verification.sandbox import ConfinedJob, Left, Limits
from lthbench.suite import Cell, Suite

pytestmark = pytest.mark.skipif(
    not (landlock.abi() >= landlock.LEAST and seccomp.available()), reason="the kernel offers no Landlock or no seccomp"
)

TRIES = '''"""Tries what it may not, and notes 1 for what it got."""
import ctypes, os, signal, socket, subprocess
import torch
from lthbench import magnitude, method

LABELS, OUTSIDE = {labels!r}, {outside!r}


def test_labels(): open(LABELS, "rb").read()
def test_labels_past_python(): torch.from_file(LABELS, size=10, dtype=torch.uint8)
def test_split():
    from lthbench.data import DataHome
    return DataHome(splits=frozenset(["test"])).load("digits", "test")
def labels_of_a_package():
    from sklearn.datasets import load_digits
    load_digits()
def open_socket(): socket.socket()
def socket_past_python(): assert ctypes.pythonapi.socket(2, 1, 0) >= 0
def write(): open(OUTSIDE, "w").write("x")
def write_past_python(): torch.from_file(OUTSIDE, shared=True, size=10, dtype=torch.uint8)
def delete(): os.remove(LABELS)
def link_out(): os.symlink(LABELS, "link"); open("link", "rb").read()
def fork():
    if not os.fork(): os._exit(0)
def fork_past_python():
    pid = ctypes.pythonapi.fork()
    if not pid: os._exit(0)
    assert pid > 0
def program(): subprocess.run(["true"], check=True)
def stop_the_parent(): os.kill(os.getppid(), signal.SIGSTOP)
def environment_of_the_parent(): open(f"/proc/{{os.getppid()}}/environ", "rb").read()
def token(): os.environ["SECRET_TOKEN"]


# Past Python, where the kernel alone says no
def call(number, *arguments):
    """A system call by its number on x86-64. Raises where it is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)) < 0:
        raise OSError(ctypes.get_errno())
TRAIN = os.environ["LTHBENCH_DATA"] + "/digits/train.labels.npy"
def chmod(): os.chmod(TRAIN, 0o666)
def fchmod(): os.fchmod(os.open(TRAIN, os.O_RDONLY), 0o666)
def chmod_past_python(): call(90, TRAIN.encode(), 0o666)
def utime(): os.utime(TRAIN, (0, 0))
def utime_past_python(): call(280, -100, TRAIN.encode(), 0, 0)
def chown_past_python(): call(92, TRAIN.encode(), 0, 0)
def setxattr(): os.setxattr(TRAIN, "user.mark", b"x")
def own_chmod_past_python(): open("own", "w"); call(90, b"own", 0o666)
def own_xattr_past_python(): call(188, b"own", b"user.mark", b"x", 1, 0)
def limits_of_the_parent():
    import resource
    resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))
def limits_of_the_parent_past_python(): call(302, os.getppid(), 0, (ctypes.c_ulong * 2)(1, 1), 0)
def own_limits_past_python(): call(302, 0, 9, (ctypes.c_ulong * 2)(2**40, 2**40), 0)
def priority_of_the_parent(): os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)
def processors_of_the_parent(): os.sched_setaffinity(os.getppid(), [0])
def shared_memory(): call(29, 0, 100_000, 0o1600)
def message_queue(): call(68, 0, 0o1600)
def semaphores(): call(64, 0, 1, 0o1600)
def posix_queue(): call(240, b"x", os.O_CREAT | os.O_RDWR, 0o600, 0)
def posix_shared_memory():
    from multiprocessing import shared_memory
    shared_memory.SharedMemory(create=True, size=100)
def memfd(): os.memfd_create("m")
def space_behind_the_end(): call(285, os.open("own", os.O_RDWR), 1, 0, 100_000)
def watch_a_folder(): call(294, 0)
def watch_by_a_signal():
    import fcntl
    fcntl.fcntl(os.open(".", os.O_RDONLY), 1026, 1)
def kill_past_python(): call(62, os.getppid(), 0)
def kill_by_a_handle(): call(434, os.getppid(), 0)
def outlive_the_supervisor(): call(157, 1, 0, 0, 0, 0)
def hide_from_the_supervisor(): call(157, 4, 0, 0, 0, 0)
def ask_for_a_key(): call(249, b"user", b"x", 0, 0)
def a_namespace(): call(272, 0x10000000)
def a_link(): os.symlink("/etc", "etc")
def truncate_past_python(): call(76, TRAIN.encode(), 0)
def capabilities():
    status = open("/proc/self/status").read().splitlines()
    assert any(int(line.split()[1], 16) for line in status if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb")))
def user_0(): assert 0 in os.getresuid() or 0 in os.getresgid()


@method("tries", cost="2T")
def tries(run):
    init = run.init()
    for attempt in (test_labels, test_labels_past_python, test_split, labels_of_a_package, open_socket, socket_past_python,
                    write, write_past_python, delete, link_out, fork, fork_past_python, program, stop_the_parent,
                    environment_of_the_parent, token, chmod, fchmod, chmod_past_python, utime, utime_past_python,
                    chown_past_python, setxattr, own_chmod_past_python, own_xattr_past_python, limits_of_the_parent,
                    limits_of_the_parent_past_python, own_limits_past_python, priority_of_the_parent, processors_of_the_parent,
                    shared_memory, message_queue, semaphores, posix_queue, posix_shared_memory, memfd, space_behind_the_end,
                    watch_a_folder, watch_by_a_signal, kill_past_python, kill_by_a_handle, outlive_the_supervisor,
                    hide_from_the_supervisor, ask_for_a_key, a_namespace, a_link, truncate_past_python, capabilities, user_0):
        try:
            attempt()
            run.note(**{{attempt.__name__: 1.0}})
        except BaseException:
            run.note(**{{attempt.__name__: 0.0}})
    return run.train(init.masked(run.select(magnitude(run.train(init)))))


@method("silent", cost="2T")
def silent(run):
    for handle in range(3, 30):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), handle)
        except OSError:
            pass
    return tries(run)


@method("forks", cost="2T")
def forks(run):
    while True:
        try:
            os.fork()
        except OSError:
            pass


@method("swells", cost="2T")
def swells(run):
    return run.train(run.init().masked(run.select({{"hidden.0.weight": torch.ones(50_000_000_000)}})))
'''


@pytest.fixture
def home(data_folder: Path) -> DataHome:
    return DataHome(data_folder, frozenset({"train", "test"}))


@contextmanager
def confined_run(name: str, folder: Path, home: DataHome, seconds: int) -> Iterator[Left]:
    labels = home.folder / "digits/test.labels.npy"
    assert labels.is_file()
    source = TRIES.format(labels=str(labels), outside=str(folder / "escaped"))
    suite = Suite.read("smoke")
    cell = Cell(suite.workload[0], 0.1, 0.8, 0)
    with sandbox.run(
        ConfinedJob({"method.py": source}, name, [cell], suite, settings(suite, home), home), Limits(seconds)
    ) as left:
        yield left


def result(left: Left) -> Result:
    [run] = left.runs
    return parse(str(run["record"]), "").result


def test_what_it_tries_it_does_not_get(tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "secret")
    with confined_run("tries", tmp_path, home, 250) as left:
        assert left.ended is None
        found = result(left)
        assert len(found.notes) == 49
        assert {name for name, got in found.notes.items() if got} == set()
        told = "\n".join(left.tried)
    for tried in ("test.labels.npy", "sklearn", "open a socket", "escaped", "start a process", "start a program",
                  "send a signal", "environ", "change"):  # fmt: skip
        assert tried in told
    assert not list(tmp_path.iterdir())


def test_code_that_closes_what_tells_is_said_to_be_silent(tmp_path: Path, home: DataHome) -> None:
    with confined_run("silent", tmp_path, home, 250) as left:
        assert (left.told, left.tried) == (False, ())
        assert not any(result(left).notes.values())


def test_forking_without_end_is_ended_by_the_clock(tmp_path: Path, home: DataHome) -> None:
    with confined_run("forks", tmp_path, home, 25) as left:
        assert left.ended == "it was still running after 25 s"
        assert left.runs == ()
        assert left.tried == ("start a process",)


def test_memory_is_bounded(tmp_path: Path, home: DataHome) -> None:
    with confined_run("swells", tmp_path, home, 250) as left:
        found = result(left)
        assert found.status == "failed"
        assert "alloc" in str(found.reason) or "memory" in str(found.reason)


def test_without_a_kernel_that_confines_nothing_is_run(
    tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (0, 1, 2):
        monkeypatch.setattr(landlock, "abi", lambda version=version: version)
        with pytest.raises(InputError, match="this system cannot confine it"), confined_run("tries", tmp_path, home, 1):
            pass
