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
from lthbench.submission.verification.sandbox import Job, Left, Limits
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


@method("tries", cost="2T")
def tries(run):
    init = run.init()
    for attempt in (test_labels, test_labels_past_python, test_split, labels_of_a_package, open_socket, socket_past_python,
                    write, write_past_python, delete, link_out, fork, fork_past_python, program, stop_the_parent,
                    environment_of_the_parent, token):
        try:
            attempt()
            run.note(**{{attempt.__name__: 1.0}})
        except BaseException:
            run.note(**{{attempt.__name__: 0.0}})
    return run.train(init.masked(run.select(magnitude(run.train(init)))))


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
    with sandbox.run(Job(source, name, [cell], suite, settings(suite, home), home), Limits(seconds)) as left:
        yield left


def result(left: Left) -> Result:
    [run] = left.runs
    return parse(str(run["record"]), "").result


def test_what_it_tries_it_does_not_get(tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "secret")
    with confined_run("tries", tmp_path, home, 250) as left:
        assert left.ended is None
        found = result(left)
        assert len(found.notes) == 16
        assert {name for name, got in found.notes.items() if got} == set()
        told = "\n".join(left.tried)
    for tried in ("test.labels.npy", "sklearn", "open a socket", "escaped", "start a process", "start a program",
                  "send a signal", "environ", "change"):  # fmt: skip
        assert tried in told
    assert not list(tmp_path.iterdir())


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
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(InputError, match="this system cannot confine it"), confined_run("tries", tmp_path, home, 1):
        pass
