"""The command line, as a user types it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.processes import typed as lthbench
from tests.runs.status.helpers import SUITE

TEN_LINES = '''"""Keep the smallest weights: a method that should lose."""

from lthbench import Network, Run, alive, method


@method("smallest", cost="2T")
def smallest(run: Run, sign: float = -1.0) -> Network:
    init = run.init()
    dense = run.train(init)
    return run.train(init.masked(run.select(alive(dense, {n: sign * w.abs() for n, w in dense.prunable.items()}))))
'''

BROKEN = '''"""Raises for one seed."""

from lthbench import Network, Run, method


@method("broken", cost="T")
def broken(run: Run) -> Network:
    if run.sparsity > 0.9:
        raise RuntimeError("no idea at this sparsity")
    return run.train(run.init().masked(run.select(run.init().prunable)))
'''


RUN = ("run", "smoke", "--seeds", "2", "--out", "runs/smoke")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smoke suite was run on two seeds, with a method from a file and one that breaks, by a new
    interpreter."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "mine.py").write_text(TEN_LINES)
    (folder / "broken.py").write_text(BROKEN)
    words = (*RUN, "--method", "mine.py:smallest", "--method", "broken.py", "--json")
    done = subprocess.run([sys.executable, "-m", "lthbench.cli", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    (folder / "summary.json").write_text(done.stdout)
    return folder


def test_run_writes_records_and_says_what_it_did(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["runs"] == 26
    assert summary["failed"] == 2
    assert summary["epochs_computed"] < summary["epochs_charged"]
    assert {p.stem for p in (folder / "runs/smoke/records").iterdir()} >= {"dense", "smallest", "broken"}


def test_plan_predicted_it(folder: Path) -> None:
    words = ("smoke", "--seeds", "2", "--method", "mine.py:smallest", "--json")
    plan = json.loads(lthbench("plan", *words, cwd=folder).stdout)
    again = lthbench("run", *words, "--out", "again", "--serial", cwd=folder)
    done = json.loads(again.stdout)
    assert again.returncode == 0
    assert plan["operations"] == done["operations_computed"]
    assert plan["epochs_charged"] == done["epochs_charged"]
    assert plan["epochs_computed"] == done["epochs_computed"]


def test_typed_again_computes_nothing_but_what_failed(folder: Path) -> None:
    again = json.loads(lthbench(*RUN, "--method", "mine.py:smallest", "--json", cwd=folder).stdout)
    assert again["operations_computed"] == 0
    assert again["failed"] == 0


def test_board_has_a_row_for_the_file_and_the_reason_of_the_failure(folder: Path) -> None:
    done = lthbench("board", "runs/smoke", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "smallest against prune-finetune" in done.stdout
    page = (folder / "runs/smoke/board/README.md").read_text()
    assert "smallest" in page
    assert "broken: 2 runs failed: RuntimeError: no idea at this sparsity (broken.py:9)" in page
    assert (folder / "runs/smoke/board/scores.csv").read_text().startswith("workload,")


def test_status_counts(folder: Path) -> None:
    said = json.loads(lthbench("status", "runs/smoke", "--json", cwd=folder).stdout)
    rows = {row["method"]: row for row in said["methods"]}
    assert rows["lottery-ticket"] == rows["lottery-ticket"] | {"runs": 4, "ok": 4, "failed": 0, "to_do": 0}
    assert rows["broken"]["failed"] == 2


def test_score_as_csv(folder: Path) -> None:
    lines = lthbench("score", "runs/smoke", "--csv", cwd=folder).stdout.splitlines()
    assert lines[0].split(",")[:6] == ["workload", "learning_rate", "sparsity", "method", "n", "diverged"]
    assert len(lines) == 1 + 1 + 2 * 5 + 1


def test_duel_of_any_two(folder: Path) -> None:
    words = ("duel", "smallest", "random-reinit", "runs/smoke")
    said = lthbench(*words, cwd=folder)
    assert said.returncode == 0, said.stderr
    assert "## smallest against random-reinit" in said.stdout
    tables = json.loads(lthbench(*words, "--json", cwd=folder).stdout)
    assert tables["marginals"][0]["group"] == "overall"
    assert all(row["n_pairs"] == 2 for row in tables["cells"])
    known = [row for row in tables["cells"] if row["n"] == 2]
    assert known
    assert all(row["low_images"] <= row["low"] < row["high"] <= row["high_images"] for row in known)
    assert "Did you mean 'smallest'?" in lthbench("duel", "smalest", "dense", "runs/smoke", cwd=folder).stderr


def test_a_duel_says_on_new_images_only_what_every_run_says(folder: Path, tmp_path: Path) -> None:
    smoke = shutil.copytree(folder / "runs/smoke", tmp_path / "smoke")
    words = ("duel", "lottery-ticket", "random-reinit", "smoke", "--json")
    first, *others = (smoke / "records/random-reinit.jsonl").read_text().splitlines()
    record = json.loads(first)
    del record["result"]["correct"]
    (smoke / "records/random-reinit.jsonl").write_text("\n".join([json.dumps(record), *others]))
    cells = json.loads(lthbench(*words, cwd=tmp_path).stdout)["cells"]
    known = {row["sparsity"]: row["se_images"] is not None for row in cells}
    assert known == {0.8: False, 0.95: True}
    record["result"]["fingerprints"]["start"] = "0" * 32
    (smoke / "records/random-reinit.jsonl").write_text("\n".join([*others, json.dumps(record)]))
    assert "random-reinit.jsonl:4: it has another start than" in lthbench(*words, cwd=tmp_path).stderr
    del record["result"]["fingerprints"]["start"]
    record["result"]["test"] = {"right": 100, "of": 400}
    (smoke / "records/random-reinit.jsonl").write_text("\n".join([*others, json.dumps(record)]))
    refused = lthbench(*words, cwd=tmp_path)
    assert refused.returncode == 2
    assert "random-reinit.jsonl:4: it was measured on another test set than" in refused.stderr


def test_broken_records_are_left_out_only_when_asked(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "runs/smoke", tmp_path / "smoke")
    path = tmp_path / "smoke/records/dense.jsonl"
    path.write_text(path.read_text() + path.read_text()[:300])
    refused = lthbench("board", "smoke", cwd=tmp_path)
    assert refused.returncode == 2
    assert "dense.jsonl:3: not a record" in refused.stderr
    done = lthbench(
        "score", "smoke", "--skip-broken", "--table", "runs", "--parquet", "--out", "x.parquet", cwd=tmp_path
    )
    assert done.returncode == 0
    assert "left out: smoke/records/dense.jsonl:3" in done.stderr
    assert len(pd.read_parquet(tmp_path / "x.parquet")) == 26


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "smok"), "Did you mean 'smoke'?"),
        (("plan", "smoke", "--method", "lotery-ticket"), "Did you mean 'lottery-ticket'?"),
        (("plan", "smoke", "--method", "l1[strenght=1]"), "Did you mean 'strength'?"),
        (("plan", "smoke", "--method", "l1[strength=much]"), "'much' is not of type float"),
        (("plan", "smoke", "--method", "nowhere.py"), "cannot read the method file nowhere.py"),
        (("plan", "smoke", "--data", "nowhere"), "there is no data folder nowhere"),
        (
            ("plan", "bad.toml"),
            "bad.toml: allocation = 'globl': There is no allocation 'globl'. Did you mean 'global'?",
        ),
        (("status", "."), "it has no suite.json"),
        (("board", "."), "it has no suite.json"),
        (("score", "."), "there are no records"),
        (("new", "My Method"), "cannot name a method"),
        (("runn",), "Did you mean 'run'?"),
    ],
)
def test_bad_input_gives_one_line_and_exit_code_2(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    smoke = Path(__file__).parents[2] / "suites/smoke.toml"
    (tmp_path / "bad.toml").write_text('allocation = "globl"\n' + smoke.read_text())
    done = lthbench(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if not line.startswith(("Usage", "Try"))]) <= 2


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    suite = SUITE.replace("epochs = 2", "epochs = 40").replace("seeds = 2", "seeds = 4")  # long enough to be stopped
    (tmp_path / "little.toml").write_text(suite)
    command = [sys.executable, "-u", "-m", "lthbench.cli", "run", "little.toml", "--workers", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    records = tmp_path / "runs/little/records"
    while not list(records.glob("*.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    *progress, last = said.splitlines()
    assert last == "lthbench: stopped. Run the same command again to go on; finished work is kept."
    assert all(re.match(r"\d+ of 12 runs, ", line) for line in progress)  # a slow machine says how far it is
    done = lthbench("run", "little.toml", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert 0 < json.loads(done.stdout)["epochs_computed"] < 480


def test_new_and_check_go_together(tmp_path: Path) -> None:
    assert lthbench("new", "my-idea", "--kind", "rule", cwd=tmp_path).returncode == 0
    assert lthbench("new", "my-idea", cwd=tmp_path).returncode == 2
    words = [sys.executable, "-m", "lthbench.cli", "check", "my_idea.py", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(row[""] == "passed" for row in json.loads(done.stdout))


@pytest.mark.parametrize("kind", ["criterion", "structured"])
def test_what_new_writes_passes_the_battery(tmp_path: Path, kind: str) -> None:
    assert lthbench("new", "my-idea", "--kind", kind, cwd=tmp_path).returncode == 0
    done = lthbench("check", "my_idea.py", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
