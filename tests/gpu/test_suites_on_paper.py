"""Whole suites on the GPU on paper, through the command line. Numbers read from its device are zeros, except
for those in `suites/plausible.py`."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lthbench.methods import registry
from lthbench.suite import Suite

SUITES = Path(__file__).parent / "suites"
ROOT = SUITES.parent.parent.parent
EVERY = ("all.toml", "perceptron.toml")
Run = Callable[..., tuple[str, Counter[str]]]


@pytest.fixture
def run(paper: dict[str, str], tmp_path: Path, data_folder: Path) -> Run:
    """Run a suite. Returns what was printed and the states of its runs."""
    environment = paper | {
        "PAPER_ZERO": "1", "LTHBENCH_DATA": str(data_folder), "LTHBENCH_BROKEN": str(tmp_path / "broken"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(SUITES / "site")]),
    }  # fmt: skip

    def done(*arguments: str) -> tuple[str, Counter[str]]:
        command = [
            sys.executable,
            "-m",
            "lthbench.cli",
            "run",
            *arguments,
            "--device",
            "cuda",
            "--out",
            str(tmp_path / "out"),
        ]
        ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        files = (tmp_path / "out" / "records").glob("*.jsonl")
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return ended.stdout + ended.stderr, Counter(record["result"]["status"] for record in records)

    return done


def test_the_suites_name_every_method() -> None:
    labels = [label for name in EVERY for label in Suite.read(SUITES / name).methods]
    assert {registry.find(label).name for label in labels} >= {
        name for name, method in registry.METHODS.items() if method.file.parent == registry.FOLDER
    }


@pytest.mark.timeout(900)  # a minute of CPU
@pytest.mark.parametrize("name", EVERY)
def test_every_method_ends(run: Run, name: str) -> None:
    printed, ended = run(str(SUITES / name))
    assert ended.keys() == {"ok"} and ended["ok"] >= len(Suite.read(SUITES / name).methods), printed


def test_a_method_that_breaks_the_context_fails_neither_itself_nor_a_neighbour(run: Run, tmp_path: Path) -> None:
    """The context breaks once, in whichever training comes first; the worker ends, and all is done again."""
    printed, ended = run(str(SUITES / "two.toml"), "--method", str(SUITES / "breaks.py"))
    assert ended == {"ok": 2}, printed
    assert (tmp_path / "broken").exists()
    assert "computes no more" in printed


def test_smoke_ends_with_no_failed_run(run: Run) -> None:
    printed, ended = run("smoke", "--serial")
    assert ended == {"ok": 27}, printed
