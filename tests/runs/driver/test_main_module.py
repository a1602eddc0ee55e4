"""`run_suite` from a main module: a script without a main guard, standard input, a notebook. Two workers each."""

import linecache
import os
import subprocess
import sys
from pathlib import Path

SUITE = """
name = "little"
version = "0.1"
methods = ["dense"]
learning_rates = [0.1]
sparsities = [0.8]
seeds = 1
budget = "2T"
validation = 100
duels = []
tickets = []
[recipe]
epochs = 1
batch = 128
[[workload]]
model = "mlp-16"
dataset = "digits"
"""
METHOD = """
from lthbench import Network, Run, magnitude, method

@method("own-method", cost="2T")
def own(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(run.train(init)))))
"""
RULE = """
from dataclasses import dataclass
from lthbench import Network, Rule, Run, method

@dataclass(frozen=True)
class Mine(Rule):
    every: int = 1

@method("with-rule", cost="T")
def with_rule(run: Run) -> Network:
    return run.train(run.init(), rule=Mine())
"""
GO = """
from lthbench import run_suite
found = run_suite("little.toml", methods=[{methods}], only=True, out="out", workers=2)
for row in found.runs.itertuples():
    print(row.method, row.status, row.reason if row.status == 'failed' else '')
"""
NOTEBOOK = """
import linecache, sys
namespace = sys.modules["__main__"].__dict__
for number, text in enumerate({cells!r}):
    name = f"/tmp/ipykernel_0/{{number}}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), namespace)
"""


def said(tmp_path: Path, data: Path, *words: str, stdin: str = "") -> tuple[list[str], str]:
    (tmp_path / "little.toml").write_text(SUITE)
    command = [sys.executable, *words]
    environment = os.environ | {"LTHBENCH_DATA": str(data)}
    done = subprocess.run(command, cwd=tmp_path, input=stdin, capture_output=True, text=True, env=environment)
    return done.stdout.splitlines(), done.stderr


def test_a_script_without_a_main_guard_defines_a_method_and_runs_it(tmp_path: Path, data_folder: Path) -> None:
    (tmp_path / "script.py").write_text(METHOD + RULE + GO.format(methods="own, with_rule"))
    lines, errors = said(tmp_path, data_folder, "script.py")
    assert lines[0] == "own-method ok ", errors
    assert lines[1].startswith("with-rule failed Mine is defined in the script or notebook that runs the suite")
    assert errors == ""


def test_from_the_cells_of_a_notebook_whose_kernel_reads_standard_input(tmp_path: Path, data_folder: Path) -> None:
    text = NOTEBOOK.format(cells=[METHOD, GO.format(methods="own")])
    lines, errors = said(tmp_path, data_folder, "-", stdin=text)
    assert (lines, errors) == (["own-method ok "], "")


def test_a_method_on_standard_input_is_one_clear_line(tmp_path: Path, data_folder: Path) -> None:
    _, errors = said(tmp_path, data_folder, "-", stdin=METHOD)
    assert errors.splitlines()[-1].endswith(
        "method 'own-method': its text cannot be read (<stdin>); write it in a .py file"
    )
    assert not linecache.getlines("<stdin>")
