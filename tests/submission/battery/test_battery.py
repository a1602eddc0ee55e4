"""One battery over every registered method, and over methods that it must refuse, each with its reason."""

import re
from pathlib import Path

import pytest

from lthbench.methods import registry
from lthbench.submission.battery.check import check
from lthbench.suite import FOLDER

BROKEN = Path(__file__).parent / "broken"


@pytest.mark.parametrize("name", sorted(registry.load_all()))
def test_every_method_passes_the_battery(name: str) -> None:
    findings = check(name, start="fork")
    assert not [f for f in findings if not f.passed]
    assert len(findings) >= 9 and "fast on a GPU" in {finding.check for finding in findings}


REASONS = {
    "constant_network": ("learns", r"1\d\.?\d? % of the training examples correct at best"),
    "mask_of_ones": ("runs everywhere", "misses the sparsity: 0 of 2368 weights are removed"),
    "regrown_weights": ("runs everywhere", "misses the sparsity: 0 of 2368 weights are removed"),
    "over_budget": ("runs everywhere", "over budget: training from step 0 to 76 would bring the charge to 12 epochs"),
    "peeking_at_the_file": ("no peeking", r"peeking_at_the_file\.py:3 imports sklearn\.datasets"),
    "peeking_at_the_split": ("no peeking", r"peeking_at_the_split\.py:4 imports lthbench\.data"),
    "peeking_at_the_result": ("no peeking", r"peeking_at_the_result\.py:10 uses run\._engine"),
    "reaching_for_the_ledger": ("no peeking", r"reaching_for_the_ledger\.py:4 imports lthbench\.methods\.internals"),
    "nan_scores": ("runs everywhere", r"the scores of hidden\.0\.weight contain NaN"),
    "nan_weights": ("runs everywhere", "diverged: weights are not finite"),
    "global_randomness": ("runs everywhere", r"drew from a global random generator.* run\.generator"),
    "in_place_edit": ("runs everywhere", r"net\.prunable\['out\.weight'\] was changed in place"),
    "not_deterministic": ("deterministic", "two executions differ in .*weights"),
    "cheaper_than_it_says": ("declared cost", r"trained 4 epochs, cost='2T' says 8"),
    "the_same_for_every_seed": ("seeds differ", "the same weights as seed 0"),
    "not_the_dense_at_zero": ("at sparsity 0", "not the weights of dense"),
    "names_a_layer": ("substitution", r"under other names of workload, .*KeyError: 'out\.weight'"),
    "knows_its_workload": ("substitution", r"it does init → train 4 → mask .*, not init → train 3 → train 1 → mask"),
    "no_formula": ("header", r"'2T \+ \?' is not a formula"),
}


@pytest.mark.parametrize("stem", REASONS)
def test_the_battery_refuses(stem: str) -> None:
    name = stem.replace("_", "-")
    wrong = {f.check: f.found for f in check(f"{BROKEN / stem}.py:{name}", start="fork") if not f.passed}
    registry.METHODS.pop(name, None)  # a file that is refused is not loaded
    failing, reason = REASONS[stem]
    assert failing in wrong
    assert re.search(reason, wrong[failing]), wrong[failing]


def test_every_broken_method_is_tried() -> None:
    assert {path.stem for path in BROKEN.glob("*.py")} == set(REASONS)


ASKING = """'''A penalty that looks at its own value.'''
from dataclasses import dataclass
from lthbench import Network, Rule, Run, magnitude, method


@dataclass(frozen=True)
class Asking(Rule):
    def penalty(self, s):
        size = s.params[s.prunable[0]].square().sum()
        return 1e-4 * size if size.item() > 0 else size


@method("asking", cost="T")
def asking(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))), rule=Asking())
"""


def test_a_rule_that_asks_for_a_value_is_told_the_line(tmp_path: Path) -> None:
    file = tmp_path / "asking.py"
    file.write_text(ASKING)
    found = {f.check: f for f in check(f"{file}:asking", start="fork")}
    registry.METHODS.pop("asking", None)
    assert all(finding.passed for finding in found.values())
    assert found["fast on a GPU"].found.startswith("no: line 10 asks for a value inside the step"), found


def test_the_checks_tell_workloads_apart(tmp_path: Path) -> None:
    """A suite of two workloads: a method that is right on both passes, with equal cells in both."""
    text = (FOLDER / "smoke.toml").read_text().replace('name = "smoke"', 'name = "two"')
    suite = tmp_path / "two.toml"
    suite.write_text(text + text[text.index("[[workload]]") :].replace("mlp-32", "mlp-16"))
    assert all(finding.passed for finding in check("lottery-ticket", suite=str(suite), start="fork"))
