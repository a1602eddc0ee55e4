"""Suites run, and boards are built, where Python has no `fcntl`, no blocked signals and no affinity of processes.

The systems are imitated: a `sitecustomize.py` on the path of every process takes the modules and names away, and
Windows gets a `msvcrt` whose locks are those of Linux.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lthbench import system
from lthbench.data import DataHome
from lthbench.submission.verification import sandbox

ROOT = Path(__file__).parent.parent

TAKEN = {
    "macos": {"os": ["sched_getaffinity", "posix_fallocate"], "signal": []},
    "windows": {
        "os": ["sched_getaffinity", "sysconf", "pread", "pwrite", "fork", "chown", "mkfifo"],
        "signal": ["pthread_sigmask", "SIGHUP"],
    },
}

WITHOUT_MODULES = """
import builtins
_import = builtins.__import__

def imported(name, globals=None, *rest, **named):
    if name == "msvcrt" and str((globals or {}).get("__name__")).startswith("lthbench"):
        name = "locks_of_windows"
    if name in ("fcntl", "resource", "pwd", "grp", "termios") and str((globals or {}).get("__name__")).startswith("lthbench"):
        raise ImportError(f"No module named {name!r}")
    return _import(name, globals, *rest, **named)

builtins.__import__ = imported
"""

LOCKS_OF_WINDOWS = """
import fcntl
LK_NBLCK = 2

def locking(file, mode, count):
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""

SUITE = """
name = "tiny"
version = "0.1"
methods = ["dense", "lottery-ticket", "prune-finetune"]
learning_rates = [0.1]
sparsities = [0.8]
seeds = 2
budget = "2T"
validation = 130
recipe = {epochs = 1, batch = 128}
workload = [{model = "mlp-8", dataset = "digits"}]
"""


@pytest.fixture(params=sorted(TAKEN))
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return an environment whose Python processes are those of another system."""
    taken = TAKEN[request.param]
    lines = [f"import {m}; {m}.__dict__.pop({name!r}, None)" for m, names in taken.items() for name in names]
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("\n".join(lines) + WITHOUT_MODULES * (request.param == "windows"))
    if request.param == "windows":
        (folder / "locks_of_windows.py").write_text(LOCKS_OF_WINDOWS)
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}


def test_a_suite_runs_and_its_board_is_built(environment: dict[str, str], data_home: DataHome, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE)
    out = tmp_path / "out"

    def lthbench(*words: str) -> str:
        command = [sys.executable, "-m", "lthbench.cli", *words]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "version" in lthbench("--version")
    lthbench("run", "tiny.toml", "--data", str(data_home.folder), "--out", str(out), "--workers", "2")
    records = [json.loads(line) for path in (out / "records").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(records) == 6
    assert not [r for r in records if r["result"].get("failed")]
    assert not list(out.rglob("locks/*"))
    assert "prune-finetune" in lthbench("score", str(out))


def test_the_jail_names_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.landlock.sys, "platform", "darwin")
    with (
        pytest.raises(sandbox.InputError, match=r"this system cannot confine it.*Linux 6\.2"),
        sandbox.run(None, sandbox.Limits()),
    ):  # type: ignore[arg-type]
        pass


def test_cores_and_memory_are_told_where_the_system_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert system.cores() == os.cpu_count()
    assert system.memory() == system.ASSUMED_MEMORY
