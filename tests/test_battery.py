"""One battery over every registered method, and over methods that it must refuse."""

from pathlib import Path

import pytest

from lthbench import registry
from lthbench.submission.check import check


@pytest.mark.parametrize("name", sorted(registry.load_all()))
def test_every_method_passes_the_battery(name: str) -> None:
    findings = check(name, start="fork")
    assert not [f for f in findings if not f.passed]
    assert len(findings) >= 7


HEAD = (
    '"""A method for a test."""\nimport itertools\nimport torch\nfrom lthbench import *\n\nturn = itertools.count()\n\n'
)

WRONG = {
    "spends less than it says": (
        "2T",
        "return run.train(run.init().masked(run.select(magnitude(run.init()))))",
        "declared cost",
    ),
    "the same for every seed": (
        "T",
        "return run.train(run.init().with_weights({n: torch.ones_like(w) for n, w in run.init().params.items()})"
        ".masked(run.select({n: torch.zeros_like(w) for n, w in run.init().prunable.items()})), until=Steps(0))",
        "seeds differ",
    ),
    "another result each time": (
        "T",
        "return run.train(run.init(next(turn)).masked(run.select(magnitude(run.init()))))",
        "deterministic",
    ),
    "not what it says at zero": (
        "T",
        "return run.train(run.init(1).masked(run.select(magnitude(run.init(1)))))",
        "at sparsity 0",
    ),
    "a mask of ones": ("T", "return run.train(run.init())", "runs everywhere"),
    "a formula that is none": (
        "2T + ?",
        "return run.train(run.init().masked(run.select(magnitude(run.init()))))",
        "header",
    ),
}


@pytest.mark.parametrize("why", WRONG)
def test_the_battery_refuses(why: str, tmp_path: Path) -> None:
    cost, body, failing = WRONG[why]
    name = why.replace(" ", "-")
    file = tmp_path / "wrong.py"
    file.write_text(f'{HEAD}@method("{name}", cost="{cost}", at_zero="dense")\ndef wrong(run):\n    {body}\n')
    failed = {f.check for f in check(f"{file}:{name}", start="fork") if not f.passed}
    registry.METHODS.pop(name)
    assert failing in failed
