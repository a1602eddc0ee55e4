"""RULES.md: each formula is evaluated as it is written there, and held against the code."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats

from lthbench import budget
from lthbench.errors import OverBudget
from lthbench.methods.internals.ledger import Ledger
from lthbench.pruning.allocate import removed_count
from lthbench.scoring import contrast, correction, verdicts
from lthbench.scoring.contrast import Meta, Pairs, Thresholds
from lthbench.scoring.duel import duel
from lthbench.scoring.images import se_on_new_images
from lthbench.scoring.moderation import moderate
from lthbench.scoring.ranking import ranking

TEXT = (Path(__file__).parent.parent / "RULES.md").read_text()
LINES = [line for block in re.findall(r"```formula\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
KNOWN: dict[str, Any] = {"floor": math.floor, "ceil": math.ceil, "log": math.log, "max": max, "min": min}
KNOWN |= {"sqrt": math.sqrt, "sum": sum, "exp": np.exp, "digamma": special.digamma}
KNOWN |= {"t_sf": stats.t.sf, "__builtins__": {}}
SHARES = st.floats(0, 0.999)


def rule(name: str) -> Callable[..., Any]:
    """The formula of this name."""
    return KNOWN[name]


for _line in LINES:
    _head, _, _body = _line.partition(" = ")
    _name, _arguments = re.fullmatch(r"(\w+)\((.*)\)", _head).groups()  # type: ignore[union-attr]
    KNOWN[_name] = eval(f"lambda {_arguments}: {_body}", KNOWN)  # our own file


@given(SHARES, st.integers(1, 10**8))
def test_removed(s: float, size: int) -> None:
    assert rule("removed")(s, size) == removed_count(size, s)


@given(st.floats(0.01, 0.999))
def test_rounds(s: float) -> None:
    rounds = budget.rounds(s)
    assert len(rounds) == rule("rounds")(s)
    assert rounds[:-1] == pytest.approx([rule("after_round")(k) for k in range(1, len(rounds))])
    assert rounds[-1] == s


@given(*[st.integers(0, 3000)] * 3, st.integers(1, 1000), st.integers(1, 5))
def test_the_budget(train: int, score: int, validate: int, epoch: int, limit: int) -> None:
    ledger = Ledger(limit, epoch)
    ok = True
    charged = {"train": 0, "score": 0, "validate": 0}
    for phase, count in (("train", train), ("score", score), ("validate", validate)):
        expected = rule("spent")(*(charged | {phase: count}).values(), epoch)
        try:
            ledger.measure(phase, phase, count)
            charged[phase] = count
            ok = bool(rule("allowed")(expected, limit * epoch)) or count == 0
        except OverBudget:
            ok = not rule("allowed")(expected, limit * epoch)
        assert ok
    assert ledger.spent == rule("spent")(*charged.values(), epoch)


@given(st.integers(2, 1000), st.none() | st.floats(1, 99), st.lists(st.integers(2000, 10000), min_size=3, max_size=6))
def test_the_collapse_limit(classes: int, majority: float | None, counts: list[int]) -> None:
    rows = [("w", "dense", 0.1, 0.0, seed, count / 100) for seed, count in enumerate(counts)]
    records = pd.DataFrame(rows, columns=contrast.COLUMNS)
    meta = {"w": Meta(classes, 10000, 0.5, majority)}
    chance = 100 / classes if majority is None else majority
    limits = contrast.collapse_limits(contrast.accuracy_table(records, meta), meta, "dense", Thresholds())
    assert limits["w"] == pytest.approx(rule("collapse_limit")(chance, np.median(counts) / 100))


@example([(100, 100)] * 3)
@given(st.lists(st.tuples(st.integers(90, 100), st.integers(90, 100)), min_size=2, max_size=8))
def test_a_contrast(accuracies: list[tuple[int, int]]) -> None:
    a, b = np.array(accuracies, dtype=float).T
    row = contrast.contrast(Pairs(a[None], b[None], np.array([20.0]), np.array([100.0]))).iloc[0]
    squares = ((a - b - (a - b).mean()) ** 2).sum()
    assert row["variance"] == pytest.approx(rule("variance")(squares, len(a), 100))
    assert row["variance"] >= rule("rounding_noise")(100) * (1 - 1e-12)
    assert row["log_error"] == pytest.approx(rule("log_error")(a.mean(), b.mean(), 100))


@pytest.mark.parametrize(("power", "least", "most"), [(0.5, 4, 4), (2, 0.1, 2)])
def test_moderation(power: float, least: float, most: float) -> None:
    variance, f = np.array([0.01, 0.02, 0.04, 0.05, 0.08, 0.1, 0.3, 1.2]) ** power, np.full(8, 2.0)
    x = np.linspace(2, 3, 8) % 0.7
    found = moderate(variance, f, x)
    assert least <= found.prior_df <= most
    logs = [rule("unbiased_log")(s, 2) for s in variance]
    trend = np.polyval(np.polyfit(x, logs, 1), x)
    assert found.prior == pytest.approx([rule("expected")(t) for t in trend])
    assert found.variance == pytest.approx(rule("moderated")(found.prior_df, found.prior, f, variance))


@given(st.floats(-5, 5), st.floats(-2, 2), st.floats(0.01, 3), st.floats(1, 30))
def test_p_values(difference: float, margin: float, se: float, df: float) -> None:
    row = {"difference": difference, "se": se, "df": df, "collapsed_a": 0, "collapsed_b": 0, "note": ""}
    table = pd.DataFrame([row])
    assert contrast.p_more(table, margin)[0] == pytest.approx(rule("p_more")(difference, margin, se, df))
    assert contrast.p_less(table, margin)[0] == pytest.approx(rule("p_less")(difference, margin, se, df))


def test_the_p_values_of_a_duel() -> None:
    records = pd.read_csv(Path(__file__).parent / "scoring/data/case_duel.csv")
    cells = duel(records, {w: Meta(10, 10000, 0.5) for w in records["workload"]}, "lottery-ticket", "prune-finetune")
    more, less = (lambda m: contrast.p_more(cells, m)), (lambda m: contrast.p_less(cells, m))
    assert cells["p"].tolist() == [rule("p_win")(*pair) for pair in zip(more(0), less(0), strict=True)]
    assert cells["p_tie"].tolist() == [rule("p_tie")(*pair) for pair in zip(more(-0.5), less(0.5), strict=True)]


def test_the_p_values_of_verdicts() -> None:
    records = pd.read_csv(Path(__file__).parent / "scoring/data/case_verdict.csv")
    meta = {w: Meta(10, 10000, 0.5) for w in records["workload"]}
    table = verdicts.verdicts(records, meta, "ticket", reinit="reinit", small="small")
    rows = table[(table["reading"] == "same") & (table["sparsity"] >= 0.6)]
    show, refute = ([rows[f"p_{name}_{k}"] for k in (2, 3, 4, 5)] for name in ("show", "refute"))
    claims = [
        min(rule("p_jackpot")(*s), rule("p_secondary")(*s[:3], r[3]))
        for s, r in zip(zip(*show, strict=True), zip(*refute, strict=True), strict=True)
    ]
    assert rows["p_claim_adjusted"].tolist() == correction.holm(claims).tolist()
    neither = [rule("p_neither")(*r) for r in zip(*refute[:3], strict=True)]
    assert rows["p_neither_adjusted"].tolist() == correction.bh(neither).tolist()


def test_places() -> None:
    accuracies = {"a": 93.0, "b": 92.0, "c": 92.0, "d": 90.0}
    rows = [("w", m, 0.1, 0.9, seed, v) for m, v in accuracies.items() for seed in range(3)]
    table = ranking(pd.DataFrame(rows, columns=contrast.COLUMNS), {"w": Meta(10, 10000, 0.5)}, list(accuracies))
    found = table.set_index("method")["mean_place"].to_dict()
    for method, accuracy in accuracies.items():
        above, equal = (sum(f(v, accuracy) for v in accuracies.values()) for f in (float.__gt__, float.__eq__))
        assert found[method] == rule("place")(above, equal)


@given(st.lists(st.integers(3, 30), min_size=1, max_size=4, unique=True))
def test_looks(looks: list[int]) -> None:
    for n in looks:
        assert correction.alpha_at(n, looks) == pytest.approx(rule("alpha_at")(n, looks))
    assert correction.alpha_at(max(looks) + 1, looks) == 0


@given(st.integers(2, 6), st.integers(2, 30), st.integers(0, 10**6))
def test_new_images(n: int, images: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).random((2, n, images)) < np.linspace(0, 1, images)
    d = 100 * (a.astype(float) - b)
    of_seeds, of_images = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
    between = rule("ms_image")(((of_images - d.mean()) ** 2).sum(), n, images)
    left = rule("ms_rest")(((d - of_seeds - of_images + d.mean()) ** 2).sum(), n, images)
    se = of_seeds.std(ddof=1) / n**0.5
    added = rule("added_by_images")(between, left, n, images)
    assert se_on_new_images(a, b) == pytest.approx(rule("se_on_new_images")(se, added), abs=1e-9)
    assert se_on_new_images(a, b, se=1.0) == pytest.approx(rule("se_on_new_images")(1.0, added))


def test_every_formula_is_tested() -> None:
    source = Path(__file__).read_text()
    assert set(re.findall(r'rule\("(\w+)"\)', source)) == {line.split("(")[0] for line in LINES}
