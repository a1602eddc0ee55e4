"""A suite with a pattern, from its file to its records: every mask follows the pattern, or the run fails with a reason."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lthbench.cli import main

SUITE = """
name = "two-of-four"
version = "0.1"
methods = [{methods}]
learning_rates = [0.1]
sparsities = [0.5]
seeds = 1
budget = "(n+1)T"
pattern = "2:4"
validation = 130
duels = []
tickets = []

[recipe]
epochs = 2
batch = 256

[[workload]]
model = "{model}"
dataset = "digits"
prunable = "all"
dense = ["*.bias"]
"""

FOLLOW = ("dense", "lottery-ticket", "random-reinit", "small-dense", "gradual-magnitude", "imp")
BREAK = ("shuffled-mask", "channels-l2")


def run(tmp_path: Path, methods: tuple[str, ...], model: str = "mlp-16", **changes: str) -> Result:
    text = SUITE.format(methods=", ".join(f'"{name}"' for name in methods), model=model).replace(
        'dense = ["*.bias"]\n', ""
    )
    for old, new in changes.items():
        text = "\n".join(new if line.startswith(f"{old} =") else line for line in text.splitlines())
    (tmp_path / "two-of-four.toml").write_text(text)
    words = ["run", str(tmp_path / "two-of-four.toml"), "--out", str(tmp_path / "out"), "--executor", "serial"]
    return CliRunner().invoke(main, words)


def results(tmp_path: Path) -> dict[str, dict]:
    lines = [line for path in (tmp_path / "out/records").glob("*.jsonl") for line in path.read_text().splitlines()]
    return {r["method"]: r for r in (json.loads(line)["result"] for line in lines)}


def test_methods_and_controls_follow_the_pattern_and_others_are_told(tmp_path: Path) -> None:
    done = run(tmp_path, FOLLOW + BREAK)
    found = results(tmp_path)
    assert {name for name, r in found.items() if r["status"] == "ok"} == {*FOLLOW}, done.output
    for name in ("lottery-ticket", "random-reinit", "gradual-magnitude", "imp"):
        assert found[name]["removed"] * 2 == found[name]["prunable"] == 64 * 16 + 16 * 10
    assert "misses the pattern 2:4" in found["shuffled-mask"]["reason"]
    assert "whole units cannot follow the suite's pattern 2:4" in found["channels-l2"]["reason"]


@pytest.mark.parametrize(
    ("model", "changes", "why"),
    [
        ("mlp-18", {}, "out.weight cannot follow the pattern 2:4: its 18 inputs are not a multiple of 4; leave it out"),
        ("conv2", {}, "cannot follow the pattern 2:4: its 1 inputs are not"),
        ("mlp-16", {"sparsities": "sparsities = [0.6]"}, "0.6 does not fit the pattern 2:4, which removes 0.5: write"),
        ("mlp-16", {"pattern": 'pattern = "2 of 4"'}, "a pattern is N:M, as in 2:4"),
        ("mlp-16", {"pattern": 'pattern = "4:4"'}, "the pattern 4:4 keeps none or all of a group"),
        ("mlp-16", {"pattern": 'pattern = "2:4"\nallocation = "erk"'}, "leave allocation = 'erk' out"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, model: str, changes: dict[str, str], why: str) -> None:
    done = run(tmp_path, ("dense",), model, **changes)
    assert done.exit_code == 2
    lines = done.stderr.strip().splitlines()
    assert why in lines[-1] and len(lines) == 1
    assert not (tmp_path / "out").exists()
