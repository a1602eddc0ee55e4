"""No more trust than earned: what is published was measured, and what an author cannot have seen is asked for."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lthbench.board.analysis import Analysis
from lthbench.board.page import escaped
from lthbench.errors import InputError
from lthbench.pruning.state import State
from lthbench.runs.driver.job import Job
from lthbench.runs.records import record as records
from lthbench.runs.records.record import Record
from lthbench.runs.records.tables import read_tables
from lthbench.submission import publish as publishing
from lthbench.submission.bundle import source_rules
from lthbench.submission.bundle.manifest import Ticket
from lthbench.submission.bundle.submit import submit
from lthbench.submission.verification import chance, likeness
from lthbench.submission.verification.chance import equivalence, shortfall
from lthbench.submission.verification.likeness import Likeness
from lthbench.submission.verification.retrained import Retrain
from lthbench.submission.verification.verify import Options, verify
from lthbench.suite import Suite
from tests.submission.forge import Forgery
from tests.submission.test_publish import confines, contents, typed

ROOT = Path(__file__).parents[3]


# What is published


def _another_environment(f: Forgery) -> None:
    """Every record says one right answer more, and names an environment that is not here."""

    def change(lines: list[dict[str, object]]) -> None:
        for line in lines:
            result, said = line["result"], line["provenance"]
            result["test"]["right"] += 1  # type: ignore[index]
            result |= {"correct": None, "notes": {"n": -1e308}, "loss": {"test": -1e9}}  # type: ignore[operator]
            result |= {"kept": {"k": {"test": {"right": 500, "of": 500}, "removed": 0, "ticket": "0"}}}  # type: ignore[operator]
            result |= {"correlation": {"init": {"0.1": 1.0}}, "barriers": {"a": {"test": -9.0}}, "zero_weights": 5}  # type: ignore[operator]
            result |= {"compact": [1, 1], "parameters": {"x": 1}}  # type: ignore[operator]
            said["build"]["kind"] = "Another CPU"  # type: ignore[index]
            right = {"right": 500, "of": 500}
            result |= {"early_stop": {"step": 1, "loss": 0.0, "validation": right, "test": right}}  # type: ignore[operator]
            said |= {"host": "a host of theirs", "started": "2000-01-01", "seconds": 1e8, "epochs_reused": 1e8}  # type: ignore[operator]
            said |= {"cpu": {"method": 1e8}, "seen": {"train": 1}, "curve": {"first": 0, "epoch": 1, "losses": [0.0]}}  # type: ignore[operator]

    f.records(change)
    f.rehash()


def test_what_was_measured_is_published(good: Path, leaderboard: Path, data_folder: Path, tmp_path: Path) -> None:
    forgery = Forgery.of(good)
    _another_environment(forgery)
    bad = forgery.write(tmp_path / "bundle")
    options = ("--data", data_folder, "--leaderboard", leaderboard)
    done = typed("publish", bad, *options)
    assert done.exit_code == 0, done.output
    said = {r.run_id: r.result for r in records.read([good / "records.jsonl"])}
    for record in records.read([leaderboard / "results/smoke/mine.jsonl"]):
        r, true = record.result, said[record.run_id]
        assert (r.test, r.correct, r.train, r.layers, r.weights) == (
            true.test,
            true.correct,
            true.train,
            true.layers,
            true.weights,
        )
        assert r.loss == pytest.approx(true.loss)
        assert (r.kept, r.correlation, r.barriers, r.notes, r.parameters) == ({}, {}, {}, {}, {})
        assert (r.compact, r.zero_weights, r.early_stop) == (true.compact, true.zero_weights, None)
        assert_nothing_unseen(record)
    assert typed("publish", bad, *options, "--undo").exit_code == 0
    assert typed("publish", bad, *options, "--claimed").exit_code == 0
    for record in records.read([leaderboard / "results/smoke/mine.jsonl"]):
        r = record.result
        assert (r.kept, r.loss, r.compact, r.early_stop) == ({}, {}, None, None)
        assert_nothing_unseen(record)


def assert_nothing_unseen(record: Record) -> None:
    """No level looks at times, hosts and learning curves, so none of them stands on the board."""
    said = record.provenance
    assert (said.host, said.started, said.seconds) == ("", "", 0)
    assert (said.cpu, said.seen, said.curve) == (None, None, None)
    charged = sum(record.result.charged.values()) / record.result.epoch
    assert said.epochs_computed + said.epochs_reused == pytest.approx(charged)


def test_a_row_that_cannot_stand_beside_the_others_changes_nothing(
    good: Path,
    leaderboard: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publishing.build(leaderboard)
    before = contents(leaderboard)
    forgery = Forgery.of(good)
    forgery.records(lambda lines: [line["result"]["fingerprints"].update(test="1" * 32) for line in lines])  # type: ignore[func-returns-value]
    forgery.rehash()
    other = forgery.write(tmp_path / "other")
    done = typed("publish", other, "--claimed", "--leaderboard", leaderboard)
    assert done.exit_code == 2
    assert "was measured on other data of mlp-32/digits than rewound" in done.output
    assert contents(leaderboard) == before

    def fails(folder: Path) -> None:
        (folder / "README.md").write_text("half")
        raise InputError("no board")

    monkeypatch.setattr(publishing, "build", fails)
    assert typed("publish", good, "--claimed", "--leaderboard", leaderboard).exit_code == 2
    assert contents(leaderboard) == before
    assert not list(leaderboard.parent.glob(".publish-*"))


@pytest.mark.parametrize(
    "text",
    [
        "![](https://evil.example/p.png)",
        "[the results](https://evil.example)",
        "**first**",
        "`x` | y",
        "<b>",
        "a\n# b\x1b[2J",
    ],
)
def test_markdown_is_escaped(text: str) -> None:
    shown = escaped(text)
    assert shown.isprintable() or "\u200b" in shown
    bare = shown.replace("\\\\", "")
    for mark in "[]*`|!#":
        assert bare.count(mark) == bare.count(f"\\{mark}") + (bare.count("&#8203;") if mark == "#" else 0)
    assert "<" not in shown and "https://" not in shown


# A new row moves no old one


@pytest.fixture(scope="module")
def published() -> Analysis:
    return Analysis(Suite.read("digits"), read_tables(ROOT / "leaderboard/results/digits"))


@settings(max_examples=2)
@given(st.data())
def test_a_new_row_moves_no_old_one(published: Analysis, data: st.DataObject) -> None:
    base = published.results
    copied = base.runs[base.runs["method"] == "lottery-ticket"].assign(method="a-new-row", control_of=None)
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    new = copied.assign(
        accuracy=draw.choice([100.0, 0.0, math.nan, 55.5], len(copied)),
        classes=data.draw(st.sampled_from([2, 10, 1_000_000])),
        n_test=data.draw(st.sampled_from([1, 500, 10**6])),
        tolerance=data.draw(st.sampled_from([0.0001, 50.0])),
        seed=copied["seed"] + data.draw(st.integers(0, 9)),
        track=data.draw(st.sampled_from(["one-shot", "iterative", "dense"])),
    )
    runs = pd.concat([base.runs, new], ignore_index=True)
    after = Analysis(published.suite, replace(base, runs=runs))
    assert after.meta == published.meta
    assert after.seeds == published.seeds
    for one, two in zip(published.duels, after.duels, strict=True):
        pd.testing.assert_frame_equal(one.cells, two.cells)
        pd.testing.assert_frame_equal(one.marginals, two.marginals)
    for ticket in published.tickets:
        pd.testing.assert_frame_equal(published.verdicts(ticket), after.verdicts(ticket))
    old = after.scores[after.scores["method"] != "a-new-row"].reset_index(drop=True)
    pd.testing.assert_frame_equal(published.scores, old)
    for name, table in published.rankings.items():
        moved = after.rankings[name].set_index("method").loc[table["method"]]
        assert moved["mean_place"].tolist() == pytest.approx(table["mean_place"].tolist(), nan_ok=True)


def test_diverged_runs_count_at_chance(published: Analysis) -> None:
    from lthbench.board.scores import scores

    runs = published.results.runs[published.results.runs["method"] == "lottery-ticket"]
    best = runs["accuracy"].idxmax()
    hidden = runs.copy()
    hidden.loc[best, ["accuracy", "status"]] = [math.nan, "diverged"]
    where = (scores(runs)["learning_rate"] == runs.loc[best, "learning_rate"]) & (
        scores(runs)["sparsity"] == runs.loc[best, "sparsity"]
    )
    before, after = scores(runs)[where].iloc[0], scores(hidden)[where].iloc[0]
    assert after["diverged"] == 1
    assert after["mean"] < before["mean"]


# Seeds that are not seeds


def _ticket(good: Path, seed: int) -> Ticket:
    content = json.loads((good / "manifest.json").read_text())["tickets"][0] | {"seed": seed}
    return Ticket.model_validate_json(json.dumps(content))


def _state(weights: torch.Tensor) -> State:
    return State({"w": weights}, {}, {"w": weights != 0})


DRAWS = torch.Generator().manual_seed(1)
SPARSE = torch.randn(64, 32, generator=DRAWS) * (torch.rand(64, 32, generator=DRAWS) < 0.1)


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        (lambda w: w * (1 + 1e-6 * torch.randn(w.shape)), True),
        (lambda w: w * (1 + 0.05 * torch.randn(w.shape)), True),
        (lambda w: 3 * w, True),
        (lambda w: w[torch.randperm(64)], True),  # the hidden units in another order
        (lambda w: -w[:, torch.randperm(32)], True),
        (lambda w: torch.randn(64, 32) * (torch.rand(64, 32) < 0.1), False),
        (lambda w: torch.randn(64, 32) * (w != 0), False),
    ],
)
def test_networks_of_two_seeds_differ(good: Path, change: object, alike: bool) -> None:
    torch.manual_seed(0)
    seen = Likeness()
    seen.add(_ticket(good, 0), _state(SPARSE))
    seen.add(_ticket(good, 1), _state(change(SPARSE)))  # type: ignore[operator]
    assert bool(list(seen.problems())) is alike


# Runs that the author has not seen


@given(st.integers(2, 200), st.randoms())
def test_a_permutation_leaves_no_class(classes: int, rng: object) -> None:
    order = chance.permutation(classes, rng)  # type: ignore[arg-type]
    assert sorted(order) == list(range(classes))
    assert all(order[i] != i for i in range(classes))


@pytest.mark.parametrize(
    ("gaps", "passed"),
    [([-0.8] * 5, False), ([-0.8, -0.7, -0.75, -0.8], False), ([-0.3, -0.2, -0.25, -0.3, -0.28], False), ([0.2, -0.3, 0.1, -0.1], True),
     ([0.3, 0.31, 0.29], True)],
)  # fmt: skip
def test_equivalence_is_refused_where_the_author_gains(gaps: list[float], passed: bool) -> None:
    assert equivalence(gaps).passed is passed


@given(st.floats(20, 100), st.floats(0.1, 2), st.integers(2, 10))
def test_chance_is_let_through_and_a_carried_network_is_not(mean: float, tolerance: float, n: int) -> None:
    here = [mean - tolerance, mean + tolerance] * n
    gap, most = shortfall(here, [here], mean - tolerance, tolerance)
    assert gap <= most <= 15
    gap, most = shortfall(here, [here], mean - 16, tolerance)
    assert gap > most


CARRIED = '''"""A network that the source carries. Cost: T epochs."""

import torch

from lthbench import Mask, Network, Run, method

TABLE = {table!r}


@method("carried", cost="T", cite="")
def carried(run: Run) -> Network:
    net = run.train(run.init())
    weights = {{name: torch.tensor(values).reshape(net.params[name].shape) for name, values in TABLE.items()}}
    masks = {{name: weights[name] != 0 for name in net.prunable}}
    weights["out.bias"] = weights["out.bias"] + 1e-6 * torch.randn(10, generator=run.generator("bias"))
    return net.with_weights(weights).masked(Mask(masks))
'''


@confines
def test_a_carried_network_wins_nothing(
    good: Path, tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source carries a good network and returns it for every run: no level lets it through, the last one least."""
    from lthbench.submission.bundle.ticket import load_ticket

    one = load_ticket(good, sparsity=0.95, seed=0).final
    table = {name: [float(f"{v:.4g}") for v in t.flatten().tolist()] for name, t in one.items()}
    (tmp_path / "carried.py").write_text(CARRIED.format(table=table))
    named = f"{tmp_path / 'carried.py'}:carried"
    Job.make(Suite.read("smoke"), [named], data_folder, only=True, device="cpu").driver(
        tmp_path / "runs", executor="serial", start="spawn", keep="finals"
    ).run()
    sizes = ("LITERALS", "LITERAL", "LINE", "CODE")
    with monkeypatch.context() as lenient:  # an author's own submit may leave the check out
        for name in sizes:
            lenient.setattr(source_rules, name, 10**6)
        submit(tmp_path / "runs", named, ["A. Author"], "", "MIT", tmp_path / "bundle")
    options = Options(retrain=Retrain(1, seed=3), data=data_folder)

    def failed() -> dict[str, str]:
        rows = verify(tmp_path / "bundle", options).rows
        return {check: found for _, check, passed, found in rows if passed == "FAILED"}

    assert failed()["source"].startswith("method.py has a line of")
    for name in sizes:
        monkeypatch.setattr(source_rules, name, 10**6)
    assert "has the weights of" in failed()["likeness"]
    monkeypatch.setattr(likeness, "ALIKE", 2.0)
    monkeypatch.setattr(likeness, "SAME", -1.0)
    assert failed().keys() == {"permuted classes"}
