"""Trials: a suite with some keys changed is another suite, and never touches the published one's records."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from lthbench.board.build import build
from lthbench.cli import main
from lthbench.errors import InputError
from lthbench.runs.driver.folder import default_folder
from lthbench.runs.records.record import in_folder as records_of
from lthbench.submission.bundle.submit import submit
from lthbench.suite import Suite, in_folder
from lthbench.suite.trial import trial, unpublished

SMOKE = Suite.read("smoke")
VALUES = {
    "seeds": st.integers(1, 9),
    "limit": st.integers(1, 1000),
    "recipe.epochs": st.integers(1, 9),
    "recipe.batch": st.integers(1, 99),
    "workload.tolerance": st.sampled_from([0.25, 0.5, 2.0]),
    "sparsities": st.lists(st.sampled_from([0.5, 0.8, 0.9]), min_size=1, unique=True),
    "methods": st.sampled_from([["dense", "lottery-ticket"], ["dense"]]),
}
CHANGES = st.fixed_dictionaries({}, optional=VALUES)
QUICK = ("--set", "recipe.epochs=1", "--seeds", "1", "--limit", "200", "--set", "sparsities=[0.5]")


def lthbench(*words: str) -> Result:
    return CliRunner().invoke(main, [*words], catch_exceptions=False)


@given(CHANGES, CHANGES)
def test_trials_are_told_apart_by_what_they_change(one: dict[str, object], other: dict[str, object]) -> None:
    first, second = trial(SMOKE, one), trial(SMOKE, other)
    same = {key: one.get(key) for key in VALUES} == {key: other.get(key) for key in VALUES}
    if same or first.changes == second.changes:
        assert first == second
    else:
        assert first.hash != second.hash
        assert default_folder(first) != default_folder(second)


@given(CHANGES)
def test_a_trial_is_marked_and_survives_its_own_file(changes: dict[str, object]) -> None:
    made = trial(SMOKE, changes)
    assert bool(unpublished(made)) == bool(made.changes) == (made.version != SMOKE.version) == (made.hash != SMOKE.hash)
    read = Suite.model_validate_json(made.as_json())
    assert (read.hash, read.changes) == (made.hash, made.changes)
    assert trial(made, changes) == made


@given(CHANGES, st.randoms())
def test_the_order_of_the_changes_does_not_count(changes: dict[str, object], random: object) -> None:
    turned = list(changes.items())
    random.shuffle(turned)  # type: ignore[attr-defined]
    together = trial(SMOKE, dict(turned))
    one_by_one = SMOKE
    for key, value in turned:
        one_by_one = trial(one_by_one, {key: value})
    assert together.hash == one_by_one.hash == trial(SMOKE, changes).hash


def test_what_the_suite_has_already_is_no_change() -> None:
    assert trial(SMOKE, {"seeds": 3, "recipe.epochs": 4, "workload.model": "mlp-32"}) is SMOKE
    assert unpublished(SMOKE) == ""


def test_a_key_of_one_workload_leaves_the_others() -> None:
    [first] = SMOKE.workload
    two = SMOKE.model_copy(update={"workload": (first, first.model_copy(update={"model": "mlp-8"}))})
    one, both = trial(two, {"workload.1.tolerance": 3.5}), trial(two, {"workload.tolerance": 3.5})
    assert [w.tolerance for w in one.workload] == [first.tolerance, 3.5]
    assert [w.tolerance for w in both.workload] == [3.5, 3.5]


def test_a_model_in_a_file_is_known_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes = {"workload.model": "net.py:net"}
    with pytest.raises(InputError, match=r"net\.py"):
        trial(SMOKE, changes)
    hashes = []
    for text in ("net = 1\n", "net = 2\n"):
        Path("net.py").write_text(text)
        made = trial(SMOKE, changes)
        assert made.workload[0].model_digest
        hashes.append(made.hash)
    assert len({*hashes, SMOKE.hash}) == 3
    assert trial(made, {"workload.model": "mlp-32"}).workload == SMOKE.workload


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "recipe.epoch=2"), "Did you mean 'recipe.epochs'?"),
        (("--set", "workload.bla=2"), "Known: allocation"),
        (("--set", "recipe.lr=2"), "There is no key of a suite 'recipe.lr'"),
        (("--set", "workload.model_digest=x"), "There is no key of a suite 'workload.model_digest'"),
        (("--set", "name=x"), "There is no key of a suite 'name'"),
        (("--set", "recipe=x"), "There is no key of a suite 'recipe'"),
        (("--set", "recipe.epochs=few"), "recipe.epochs = 'few'"),
        (("--set", "recipe.epochs=inf"), "recipe.epochs = inf"),
        (("--set", "recipe.momentum=2"), "momentum = 2"),
        (("--set", "workload.3.model=x"), "there is no workload.3.model: the suite's workloads are 0 to 0"),
        (("--set", "sparsities=[2]"), "sparsities.0 = 2"),
        (("--set", "seeds"), "'seeds' is not KEY=VALUE; an example is recipe.epochs=5"),
        (("--set", "seeds=2", "--seeds", "1"), "seeds is changed twice"),
        (("--limit", "99999"), "limit = 99999, but digits has 1,167 training examples"),
    ],
)
def test_a_wrong_key_or_value_is_one_line(words: tuple[str, ...], said: str) -> None:
    done = lthbench("plan", "smoke", *words)
    assert done.exit_code == 2
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith(("Usage", "Try"))]
    assert len(lines) == 1
    assert said in lines[0]


def test_a_trial_is_planned_run_shown_and_refused_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("smoke", *QUICK, "--data", str(data_folder), "--method", "snip", "--json")
    planned, done = lthbench("plan", *words), lthbench("run", *words, "--serial")
    assert done.exit_code == 0, done.stderr
    plan, summary = json.loads(planned.stdout), json.loads(done.stdout)
    assert [plan[k] for k in ("runs", "epochs_charged")] == [summary[k] for k in ("runs", "epochs_charged")]
    out = Path(summary["out"])
    assert out == default_folder(in_folder(out)) != Path("runs/smoke")
    results = [record.result for record in records_of(out)]
    assert {r.suite_version for r in results} == {"0.1+trial"}
    assert {(r.epoch, r.train and r.train.of) for r in results} == {(200, 200)}

    assert "not the published suite: a trial of smoke with limit = 200" in lthbench("board", str(out)).stdout.lower()
    assert "Not the published suite" in (out / "board/index.html").read_text()
    assert "Not the published suite" in lthbench("duel", "snip", str(out)).stdout
    with pytest.raises(InputError, match="a trial of smoke with limit = 200.*, not the published suite"):
        submit(out, "snip", ["A. Author"], "", "MIT", tmp_path / "bundle")
    for what, copied in (("records/snip.jsonl", "snip.jsonl"), ("suite.json", "suite.json")):
        there = tmp_path / "leaderboard/results/smoke" / copied
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes((out / what).read_bytes())
        with pytest.raises(InputError, match=r"differs from the present|holds a trial of smoke"):
            build(tmp_path / "leaderboard")


def test_a_trial_never_moves_other_records_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    real = Path("runs/smoke")
    real.mkdir(parents=True)
    (real / "suite.json").write_text(SMOKE.as_json())
    (real / "records").mkdir()
    (real / "records/dense.jsonl").write_text("")
    done = lthbench("run", "smoke", *QUICK, "--data", str(data_folder), "--serial", "--out", str(real))
    assert done.exit_code == 2
    assert "runs/smoke holds runs of smoke 0.1, and this is a trial of smoke" in done.stderr
    assert sorted(path.name for path in real.iterdir()) == ["records", "suite.json"]
