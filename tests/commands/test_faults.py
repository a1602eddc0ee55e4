"""Whole commands over what once lost records, stood though its source had changed, or ended in a traceback."""

import json
import linecache
import math
import os
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from lthbench.cli import main
from lthbench.commands.shared import print_json
from lthbench.methods import registry
from lthbench.suite import Suite
from tests.processes import fork_workers

SUITE = """
name = "{name}"
version = "0.1"
methods = ["dense"]
learning_rates = [0.1]
sparsities = [0.8, 0.9]
seeds = 1
budget = "2T"
validation = 100
duels = []
tickets = []
[recipe]
epochs = {epochs}
batch = 128
[[workload]]
model = "mlp-16"
dataset = "digits"
"""
METHOD = """
import sys
sys.path.insert(0, {folder!r})
from lthbench import Network, Run, alive, method
from helper_of_a_method import score


@method("uses", cost="2T")
def uses(run: Run, how: str = "a") -> Network:
    init = run.init()
    dense = run.train(init)
    return run.train(init.masked(run.select(alive(dense, {{n: score(w) for n, w in dense.prunable.items()}}))))
"""


@pytest.fixture
def user(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    fork_workers(monkeypatch)
    monkeypatch.delitem(sys.modules, "helper_of_a_method", raising=False)
    registry.load_all()
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))
    monkeypatch.setenv("LTHBENCH_DATA", str(data_folder))
    (tmp_path / "little.toml").write_text(SUITE.format(name="little", epochs=1))
    (tmp_path / "helper_of_a_method.py").write_text("def score(w): return w.abs()\n")
    (tmp_path / "uses.py").write_text(METHOD.format(folder=str(tmp_path)))
    return tmp_path


def lthbench(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def run(*words: str) -> dict[str, Any]:
    done = lthbench("run", *words, "--serial", "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def records(folder: Path) -> dict[str, list[str]]:
    """The lines of all records under a folder, by file."""
    return {
        str(p.relative_to(folder)): p.read_text().splitlines()
        for p in folder.rglob("*.jsonl")
        if "store" not in p.parts
    }


def test_no_record_is_lost_and_none_stands_whose_source_has_changed(user: Path) -> None:
    words = ("little.toml", "--method", "uses.py", "--only")
    first = run(*words)
    assert run(*words)["operations_computed"] == 0
    before = records(user / "runs/little")["records/uses.jsonl"]
    (user / "helper_of_a_method.py").write_text("def score(w): return -1 * w.abs()\n")
    assert run(*words)["operations_computed"] > 0
    after = records(user / "runs/little")["records/uses.jsonl"]
    assert len(after) == len(before) == first["runs"]
    sources = [{json.loads(line)["result"]["source"] for line in lines} for lines in (before, after)]
    assert not sources[0] & sources[1]

    run("little.toml", "--method", "uses.py:uses[how=b]", "--only")
    run("little.toml")
    there = records(user / "runs/little")
    assert {name: len(lines) for name, lines in there.items()} == {
        "records/uses.jsonl": 2, "records/uses[how=b].jsonl": 2, "records/dense.jsonl": 1,
    }  # fmt: skip

    (user / "little.toml").write_text(SUITE.format(name="little", epochs=2))
    elsewhere = run("little.toml")["out"]
    assert elsewhere.startswith("runs/little-")
    assert records(user / "runs/little") == there, "records of another text are not moved without being asked"

    asked = lthbench("run", "little.toml", "--serial", "--out", "runs/little")
    assert asked.exit_code == 0
    held = [line for lines in records(user / "runs/little").values() for line in lines]
    assert {line for lines in there.values() for line in lines} <= set(held)
    (user / "little.toml").write_text(SUITE.format(name="little", epochs=1))
    assert run("little.toml", "--out", "runs/little")["operations_computed"] == 0
    now = records(user / "runs/little")
    assert {name: now[name] for name in there} == there, "records of a text that is back are back"


def test_an_edited_copy_of_a_published_suite_has_a_folder_of_its_own(user: Path) -> None:
    from lthbench.runs.driver.folder import default_folder
    from lthbench.suite import Suite

    smoke = Suite.read("smoke")
    assert default_folder(smoke) == Path("runs/smoke")
    other = Suite(**{name: getattr(smoke, name) for name in Suite.model_fields} | {"validation": 7})
    assert default_folder(other) == Path(f"runs/smoke-{other.hash[:8]}")


def test_two_labels_that_make_one_file_name_are_refused_before_any_work(user: Path) -> None:
    for a, b in (("x:y", "x/y"), ("a", "A")):
        done = lthbench(
            "run", "little.toml", "--method", f"uses.py:uses[how={a}]", "--method", f"uses.py:uses[how={b}]"
        )
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert "make one file name" in done.stderr
    assert not (user / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "little.toml", "--out", ""), "is empty; name a folder"),
        (("score", ".", "--parquet"), "--parquet writes a binary file"),
        (("new", "class"), "is a word of Python or lthbench"),
        (("new", "lambda"), "is a word of Python or lthbench"),
        (("new", "alive"), "is a word of Python or lthbench"),
        (("new", "rule"), "is a word of Python or lthbench"),
        (("new", "dense"), "choose another name"),
        (("new", "a" * 65), "cannot name a method"),
        (("check", "odd.py:a|b"), "'a|b' cannot name a method"),
        (("run", "little.toml", "--method", "odd.py"), "'a|b' cannot name a method"),
        (
            ("plan", "little.toml", "--method", "imp", "--set", 'budget="none"'),
            "sets no budget, and imp would spend it",
        ),
    ],
)
def test_bad_input_is_one_line(user: Path, words: tuple[str, ...], said: str) -> None:
    (user / "odd.py").write_text("from lthbench import method\nmethod('a|b', cost='T')(lambda run: run.init())\n")
    done = lthbench(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not [path for path in user.rglob("*") if path.name in ("-", "records", "class.py", "alive.py", "rule.py")]


def test_json_has_null_for_what_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [math.nan, (math.inf, 1.5)], "b": None, "c": True})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": [None, [None, 1.5]],
        "b": None,
        "c": True,
    }


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    text = command.replace("lthbench", f"{sys.executable} -m lthbench.cli", 1)
    return subprocess.run(
        text, shell=True, capture_output=True, text=True, errors="replace", env=os.environ | environment
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_replaced(encoding: str) -> None:
    done = shell("lthbench run --help", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_output_is_one_line() -> None:
    done = shell("lthbench --help > /dev/full")
    assert (done.returncode, done.stderr) == (2, "lthbench: [Errno 28] No space left on device\n")


def test_check_says_that_docstrings_are_missing(user: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "lthbench.cli", "check", "uses.py"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "-OO drops docstrings" in done.stderr


def test_an_interval_of_an_accuracy_lies_between_0_and_100() -> None:
    from lthbench.board.scores import scores

    rows = [("w", 0.1, 0.8, "m", accuracy, 1.0, 1.0, 1, 1.0, 1, 0, 10.0) for accuracy in (20.0, 99.0)]
    names = ["workload", "learning_rate", "sparsity", "method", "accuracy", "epochs", "epochs_computed"]
    names += ["multiplications", "multiplications_saved", "parameters_left", "collapsed_layers", "chance"]
    table = scores(pd.DataFrame(rows, columns=names))
    assert (table["low"][0], table["mean"][0], table["high"][0]) == (0.0, 59.5, 100.0)


def test_a_stale_address_of_a_cluster_is_one_line(user: Path) -> None:
    pytest.importorskip("ray")
    done = shell("lthbench run little.toml --executor ray", RAY_ADDRESS="127.0.0.1:1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no Ray cluster at 127.0.0.1:1, which 'auto' stands for here" in done.stderr


UNTRAINED = """
from lthbench import Network, Run, method


@method("untrained", cost="0")
def untrained(run: Run) -> Network:
    init = run.init()
    net = init.masked(run.select({n: w.abs() for n, w in init.prunable.items()}))
    return net.with_weights({n: -1 * w for n, w in net.params.items()})
"""
WARNS = UNTRAINED.replace("    init =", "    import warnings\n    warnings.warn('about this')\n    init =", 1)


def test_the_finals_of_an_untrained_network_are_kept(user: Path) -> None:
    (user / "untrained.py").write_text(UNTRAINED)
    found = run("little.toml", "--method", "untrained.py", "--only", "--keep", "finals")
    assert (found["runs"], found["failed"]) == (2, 0)
    assert len(list((user / "runs/little/store").glob("*/finals/*.safetensors"))) == 2


def test_a_warning_is_no_peeking_but_reading_a_file_through_linecache_is(user: Path) -> None:
    from lthbench.submission.battery.peeking import watched

    linecache.clearcache()
    (user / "secret.txt").write_text("1")
    (user / "warns.py").write_text(WARNS.replace("'about this'", "'about this'"))
    text = "import linecache\n" + WARNS.replace("warnings.warn('about this')", "linecache.getline('secret.txt', 1)")
    (user / "reads.py").write_text(text.replace("untrained", "reads"))
    told = {}
    for name in ("warns", "reads"):
        module = sys.modules[registry.load(user / f"{name}.py")]
        with watched() as told[name], warnings.catch_warnings(), suppress(AttributeError):
            warnings.simplefilter("always")
            warnings.showwarning = lambda *a: warnings.formatwarning(*a[:4])
            (module.untrained if name == "warns" else module.reads)(None)
    assert told["warns"] == []
    assert [line for line in told["reads"] if "secret.txt" in line]


def test_a_report_on_a_part_of_its_runs_makes_no_claim(user: Path) -> None:
    folder = Path(__file__).parents[2] / "leaderboard/results/elastic-digits"
    (user / "part/records").mkdir(parents=True)
    for path in folder.glob("*.jsonl"):
        (user / "part/records" / path.name).write_bytes(path.read_bytes())
    (user / "part/suite.json").write_text(Suite.read("elastic-digits").model_dump_json())
    path = min((user / "part/records").glob("*.jsonl"))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    done = lthbench("report", "part")
    assert done.exit_code == 0
    assert "incomplete: 104 of 105 runs" in done.stderr
    page = (user / "part/report/elastic-digits.md").read_text()
    assert "**Incomplete: 104 of 105 runs" in page
    assert "Claim" not in page and "does not hold" not in page and "±" not in page


def test_a_board_says_what_is_missing(user: Path) -> None:
    run("little.toml", "--method", "uses.py", "--only")
    lthbench("board", "runs/little")
    page = (user / "runs/little/board/README.md").read_text()
    assert "**Incomplete: 1 runs of the suite's own methods have no result.**\n\n- dense" in page
