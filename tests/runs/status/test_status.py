"""Looking on, as a user types it: status, its watch, logs, and repeating what failed."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lthbench.cli import main
from tests.processes import started, status_of, until
from tests.processes import typed as lthbench
from tests.runs.status.helpers import RUN, SHAKY, SUITE, folder


def looked(*words: object) -> Result:
    """A command that only looks, in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    said = json.loads(looked("status", folder, "--json").stdout)
    return {row["method"]: row for row in said["methods"]}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a suite was run, with a method two runs of which failed."""
    return folder(tmp_path_factory.mktemp("user"))


@pytest.fixture
def user(ran: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(ran, tmp_path / "user")
    return tmp_path / "user"


class TestStatus:
    def test_counts_by_method(self, ran: Path) -> None:
        there = rows(ran / "runs/little")
        nothing = {"to_do": 0, "running": 0, "diverged": 0}
        assert there["shaky"] == {"method": "shaky", "runs": 4, "ok": 2, "failed": 2, **nothing}
        assert there["dense"] == {"method": "dense", "runs": 2, "ok": 2, "failed": 0, **nothing}

    def test_says_how_the_last_training_went(self, ran: Path) -> None:
        said = re.search(
            r"^last run: .* on mlp-16/digits, .*: training loss ([\d.]+) in its first epoch, ([\d.]+) in its last$",
            looked("status", ran / "runs/little").stdout,
            re.M,
        )
        assert said and float(said[2]) < float(said[1])

    def test_names_what_failed_where_and_why(self, ran: Path) -> None:
        said = looked("status", ran / "runs/little").stdout
        assert re.search(r"^method +runs +to do +running +ok +diverged +failed$", said, re.M)
        why = r"shaky.py:12, after operation 1 \(train 0 → 20 on \w{8}\): RuntimeError: no idea at this sparsity"
        assert re.search(rf"^shaky, \d failed: {why}$", said, re.M)
        for seed in (0, 1):
            assert f"    shaky on mlp-16/digits, learning rate 0.1, sparsity 0.9, seed {seed}\n" in said
        listed = json.loads(looked("status", ran / "runs/little", "--json").stdout)["failed"]
        assert [(run["method"], run["sparsity"], run["seed"]) for run in listed] == [
            ("shaky", 0.9, 0),
            ("shaky", 0.9, 1),
        ]
        assert all(re.fullmatch(why, run["why"]) for run in listed)

    def test_says_what_to_type_and_that_works(self, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(user)
        said = looked("status", "runs/little").stdout.splitlines()
        see, repeat = said[-2:]
        assert repeat == "lthbench run little.toml --serial --method shaky.py --only-failed"
        shown = looked(*see.split()[1:])
        assert shown.stdout.count("RuntimeError: no idea at this sparsity\n") >= 2
        assert lthbench(*repeat.split()[1:], cwd=user).returncode == 0
        assert "failed:" not in looked("status", "runs/little").stdout

    def test_a_folder_without_logs_says_the_reason_of_the_record(self, user: Path) -> None:
        shutil.rmtree(user / "runs/little/logs")
        said = looked("status", user / "runs/little").stdout
        assert "shaky, 2 failed: RuntimeError: no idea at this sparsity (shaky.py:12)" in said
        done = looked("log", user / "runs/little")
        assert (done.exit_code, done.stdout) == (2, "")

    def test_all_done(self, ran: Path) -> None:
        assert "16 epochs charged" not in looked("status", ran / "runs/little").stdout
        assert "charged; all is done" in looked("status", ran / "runs/little").stdout


class TestLog:
    def test_by_method_and_cell(self, ran: Path) -> None:
        out = ran / "runs/little"
        assert looked("log", out).stdout.count("  started  ") == 10
        assert looked("log", out, "--method", "shaky").stdout.count("  started  ") == 4
        words = ("--seed", 1, "--sparsity", 0.9, "--learning-rate", 0.1, "--workload", "mlp-16/digits")
        one = looked("log", out, "--method", "shaky", *words).stdout
        assert one.startswith(f"{out / 'logs/shaky/mlp-16_digits-lr0.1-s0.9-seed1.log'}\n")
        assert "Traceback (most recent call last):" in one
        assert one.count("  started  ") == 1

    def test_of_the_failed(self, ran: Path) -> None:
        said = looked("log", ran / "runs/little", "--failed").stdout
        assert (said.count("  started  "), said.count("  failed  "), said.count("  ok  ")) == (1, 1, 0)
        assert said.count("Traceback (most recent call last)") == 1
        assert re.search(r"1 more failed in the same way:\n    .*logs/shaky/mlp-16_digits-lr0.1-s0.9-seed1.log\n", said)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--method", "shakey"), "There is no log of method 'shakey'. Did you mean 'shaky'?"),
            (("--seed", "7"), "has no log of such a run; lthbench status"),
            (("--method", "dense", "--failed"), "has no log of such a run"),
        ],
    )
    def test_of_nothing(self, ran: Path, words: tuple[str, ...], said: str) -> None:
        done = looked("log", ran / "runs/little", *words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


class TestOnlyFailed:
    def test_repeats_these_and_nothing_else(self, user: Path) -> None:
        out = user / "runs/little"
        before = {path.name: path.read_bytes() for path in (out / "records").iterdir()}
        lines = before["shaky.jsonl"].splitlines()
        (out / "records/dense.jsonl").unlink()  # two runs that are missing stay so
        done = lthbench(*RUN, "--only-failed", "--json", cwd=user)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert (summary["runs"], summary["failed"]) == (2, 0)
        assert summary["epochs_computed"] == 4  # two trainings of two epochs
        assert rows(out)["shaky"] == rows(out)["shaky"] | {"ok": 4, "failed": 0}
        assert rows(out)["dense"] == rows(out)["dense"] | {"ok": 0, "to_do": 2}
        assert (out / "records/prune-finetune.jsonl").read_bytes() == before["prune-finetune.jsonl"]
        after = (out / "records/shaky.jsonl").read_bytes().splitlines()
        assert len(after) == 4
        assert [line for line in lines if b'"status": "ok"' in line] == [line for line in after if line in lines]

    def test_what_fails_again_stays_failed(self, user: Path) -> None:
        done = lthbench(*RUN, "--only-failed", "--json", cwd=user, LTHBENCH_TEST_SHAKE="1")
        assert done.returncode == 1
        assert json.loads(done.stdout)["failed"] == 2
        assert rows(user / "runs/little")["shaky"]["failed"] == 2

    def test_says_so_where_none_failed(
        self, user: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.chdir(user)
        for words in (("--method", "dense", "--only"), ()):
            done = looked("run", "little.toml", "--serial", "--only-failed", *words)
            assert done.exit_code == 0
            assert done.stdout == "no run of these methods in runs/little has failed: nothing to repeat\n"
            assert "failed runs of shaky are left out: their method was not named" in caplog.text
        done = looked("run", "little.toml", "--serial", "--only-failed", "--json")
        assert json.loads(done.stdout)["runs"] == 0

    def test_another_text_of_a_method_leaves_the_others(self, user: Path) -> None:
        (user / "shaky.py").write_text(SHAKY.replace("> 0.8", "> 1.8"))
        done = lthbench(*RUN, "--only-failed", cwd=user, LTHBENCH_TEST_SHAKE="1")
        assert done.returncode == 0
        assert "2 runs of shaky are of another version of its file; lthbench run repeats them" in done.stderr
        assert rows(user / "runs/little")["shaky"]["ok"] == 4

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("rm -r runs", "runs/little is not a run folder: it has no suite.json"),
            ("sed -i s/batch.*/batch=64/ little.toml", "holds runs of another text of the suite"),
        ],
    )
    def test_where_there_is_no_such_folder(
        self, user: Path, change: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(user)
        subprocess.run(change.split(), check=True)
        done = looked("run", "little.toml", "--only-failed")
        assert done.exit_code == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


class TestWatch:
    def test_ends_at_once_where_all_is_done(self, ran: Path) -> None:
        done = looked("status", ran / "runs/little", "--watch")
        assert done.exit_code == 0
        first, *rest = done.stdout.splitlines()
        assert re.match(r"10 runs: 0 to do, 0 running, 8 ok, 0 diverged, 2 failed; .*; all is done", first)
        assert any("no idea at this sparsity" in line for line in rest)

    def test_looks_on_while_a_driver_works(self, ran: Path, tmp_path: Path) -> None:
        suite = SUITE.replace("epochs = 2", "epochs = 40").replace("seeds = 2", "seeds = 4")
        (tmp_path / "little.toml").write_text(suite)
        driver = started("run", "little.toml", cwd=tmp_path)
        assert until(lambda: (tmp_path / "runs/little/plan.json").exists())
        said = lthbench("status", "runs/little", "--watch", "--every", "0.2", cwd=tmp_path)
        assert (said.returncode, status_of(driver)) == (0, 0)
        lines = said.stdout.splitlines()
        assert any(re.search(r"[1-9]\d* running, .*; about .* computed a second; for .* left$", line) for line in lines)
        assert re.match(r"12 runs: 0 to do, 0 running, 12 ok, .*; all is done$", lines[-1])

    def test_goes_on_where_nothing_runs_until_ctrl_c(self, user: Path) -> None:
        (user / "runs/little/records/dense.jsonl").unlink()
        words = [sys.executable, "-m", "lthbench.cli", "status", "runs/little", "--watch", "--every", "0.1"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(words, cwd=user, **pipes) as watch:
            try:
                assert watch.stdout
                for _ in range(3):
                    assert re.match(r"10 runs: 2 to do, 0 running, .*; nothing runs here$", watch.stdout.readline())
            finally:
                watch.send_signal(signal.SIGINT)
            _, errors = watch.communicate(timeout=30)
        assert watch.returncode == 130
        assert "Traceback" not in errors

    def test_a_table_on_a_terminal(self, ran: Path) -> None:
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "lthbench.cli", "status", "runs/little", "--watch"]
        watch = subprocess.Popen(words, cwd=ran, stdout=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"})
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while part := os.read(ours, 4096):
                said += part
        os.close(ours)
        assert watch.wait(30) == 0
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode())
        assert re.search(r"method +runs +to do +running +ok +diverged +failed", plain)
        assert re.search(r"shaky +4 +2 +2", plain)
        assert re.search(r"^ +10 +0 +0 +8 +0 +2", plain, re.M)

    def test_json_is_one_snapshot(self, ran: Path) -> None:
        said = json.loads(looked("status", ran / "runs/little", "--json").stdout)
        assert (said["done"], said["at_work"], said["left"]) == (True, False, None)
        assert said["epochs_computed"] < said["epochs_charged"]

    def test_json_is_not_watched(self, ran: Path) -> None:
        done = looked("status", ran / "runs/little", "--watch", "--json")
        assert done.exit_code == 2
        assert "--watch and --json do not go together" in done.output


@pytest.mark.parametrize("words", [("status",), ("status", "--watch"), ("log",)])
def test_a_folder_without_a_suite(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = looked(*words, tmp_path)
    assert done.exit_code == 2
    assert "it has no suite.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1
