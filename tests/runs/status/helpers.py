"""A suite of seconds with a method that fails at will, run as a user runs it."""

from pathlib import Path

from tests.processes import typed as lthbench

SUITE = """
name = "little"
version = "0.1"
methods = ["dense", "prune-finetune"]
learning_rates = [0.1]
sparsities = [0.5, 0.9]
seeds = 2
budget = "2T"
validation = 130
duels = []
tickets = []

[recipe]
epochs = 2
batch = 128

[[workload]]
model = "mlp-16"
dataset = "digits"
"""

SHAKY = '''"""Fails at high sparsity while a variable is set. Cost: T epochs."""

import os

from lthbench import Network, Run, magnitude, method


@method("shaky", cost="T")
def shaky(run: Run) -> Network:
    net = run.train(run.init())
    if run.sparsity > 0.8 and os.environ.get("LTHBENCH_TEST_SHAKE"):
        raise RuntimeError("no idea at this sparsity")
    return net.masked(run.select(magnitude(net)))
'''

RUN = ("run", "little.toml", "--serial", "--method", "shaky.py")


def folder(path: Path, *words: str) -> Path:
    """A folder with both, in which the suite was run and two runs failed."""
    (path / "little.toml").write_text(SUITE)
    (path / "shaky.py").write_text(SHAKY)
    done = lthbench(*RUN, *words, cwd=path, LTHBENCH_TEST_SHAKE="1")
    assert done.returncode == 1, done.stderr
    return path
