"""Event files: TensorBoard can read them, and nothing is written twice."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

from lthbench.board.export.tensorboard import writing
from lthbench.cli import main
from lthbench.runs.records.record import Record, in_folder
from lthbench.runs.store.store import append_line
from lthbench.suite import Suite
from tests.processes import typed as lthbench
from tests.runs.status.helpers import folder

CURVE = "test accuracy by percent removed"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with event files; two of its runs failed."""
    return folder(tmp_path_factory.mktemp("user"), "--tensorboard") / "runs/little"


@pytest.fixture(scope="module")
def records(out: Path) -> list[Record]:
    return in_folder(out)


@pytest.fixture(scope="module")
def suite(out: Path) -> Suite:
    return Suite.read(out.parent.parent / "little.toml")


def read(out: Path) -> EventMultiplexer:
    board = EventMultiplexer().AddRunsFromDirectory(str(out / "tensorboard"))
    board.Reload()
    return board


def scalars(board: EventMultiplexer, run: str, tag: str) -> dict[int, float]:
    """Return values by step."""
    return {event.step: event.value for event in board.Scalars(run, tag)}


def files(out: Path) -> dict[Path, tuple[int, int]]:
    """Return every file with its inode and time."""
    there = (path for path in (out / "tensorboard").rglob("*") if path.is_file())
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in there}


def write(out: Path, suite: Suite, records: list[Record]) -> None:
    with writing(out, suite, True) as event:
        for record in records:
            event(record)


def test_a_row_for_every_run(out: Path, records: list[Record]) -> None:
    found = read(out).PluginRunToTagToContent("hparams")
    starts = {
        run: parse_session_start_info_plugin_data(tags["_hparams_/session_start_info"]) for run, tags in found.items()
    }
    assert len(starts) == len(records) == 10
    rows = [
        {name: value.string_value or value.number_value for name, value in row.hparams.items()}
        for row in starts.values()
    ]
    for record in records:
        r = record.result
        cell = {"method": r.method, "workload": r.workload, "learning rate": r.learning_rate, "sparsity": r.sparsity}
        assert cell | {"seed": r.seed, "status": r.status} in rows


def test_what_each_run_reached(out: Path, records: list[Record]) -> None:
    board = read(out)
    for record in records:
        r = record.result
        run = f"runs/{r.method}/mlp-16_digits-lr0.1-s{r.sparsity}-seed{r.seed}"
        tags = set(board.Runs()[run]["scalars"])
        if r.status == "failed":
            assert tags == {"epochs charged"}
            continue
        step = round(100 * r.sparsity)
        assert r.test and r.prunable is not None and r.removed is not None
        assert scalars(board, run, "test accuracy") == {step: pytest.approx(r.test.percent)}
        assert scalars(board, run, "remaining weights") == {step: r.prunable - r.removed}
        assert scalars(board, run, "test loss") == {step: pytest.approx(r.loss["test"])}
        assert scalars(board, run, "epochs charged") == {step: sum(r.charged.values()) / r.epoch}


def test_accuracy_against_sparsity(out: Path, records: list[Record]) -> None:
    board = read(out)
    reached: dict[int, list[float]] = {50: [], 90: []}
    for record in records:
        if record.result.method == "prune-finetune" and record.result.test:
            reached[round(100 * record.result.sparsity)].append(record.result.test.percent)
    run = "curves/prune-finetune/mlp-16_digits-lr0.1"
    assert scalars(board, run, f"{CURVE}/mean") == {s: pytest.approx(sum(a) / 2) for s, a in reached.items()}
    assert scalars(board, run, f"{CURVE}/lowest") == {s: pytest.approx(min(a)) for s, a in reached.items()}
    shaky = "curves/shaky/mlp-16_digits-lr0.1"
    assert scalars(board, shaky, f"{CURVE}/seeds") == {50: 2, 90: 0}
    assert list(scalars(board, shaky, f"{CURVE}/mean")) == [50]


def test_typed_again_writes_nothing_twice_and_what_was_lost_anew(out: Path) -> None:
    before = files(out)
    lost = next(path for path in before if "runs/dense" in str(path))
    lost.unlink()
    done = lthbench("run", "little.toml", "--serial", "--tensorboard", cwd=out.parent.parent)
    assert done.returncode == 0, done.stderr
    after = files(out)
    assert after.keys() == before.keys()
    assert {path for path in before if before[path] != after[path]} == {lost}


def test_a_repeated_run_replaces_what_it_wrote(tmp_path: Path, suite: Suite, records: list[Record]) -> None:
    [ok] = [r for r in records if (r.run_id.method, r.run_id.sparsity, r.run_id.seed) == ("shaky", 0.5, 0)]
    failed = ok.model_copy(update={"result": ok.result.model_copy(update={"status": "failed"})})
    later = ok.model_copy(
        update={"provenance": ok.provenance.model_copy(update={"seconds": ok.provenance.seconds + 9})}
    )
    write(tmp_path, suite, [failed, later])
    board, run = read(tmp_path), "runs/shaky/mlp-16_digits-lr0.1-s0.5-seed0"
    assert "test accuracy" in board.Runs()[run]["scalars"]
    assert len(files(tmp_path)) == 2  # that of the run and that of its curve


def test_a_run_that_diverged_is_in_no_mean(tmp_path: Path, suite: Suite, records: list[Record]) -> None:
    one, two = [r for r in records if (r.run_id.method, r.run_id.sparsity) == ("prune-finetune", 0.5)]
    gone = two.model_copy(update={"result": two.result.model_copy(update={"status": "diverged"})})
    write(tmp_path, suite, [one, gone])
    board, run = read(tmp_path), "curves/prune-finetune/mlp-16_digits-lr0.1"
    assert one.result.test
    assert scalars(board, run, f"{CURVE}/mean") == {50: pytest.approx(one.result.test.percent)}
    assert scalars(board, run, f"{CURVE}/seeds") == {50: 1}
    diverged = f"runs/prune-finetune/mlp-16_digits-lr0.1-s0.5-seed{two.result.seed}"
    assert board.Runs()[diverged]["scalars"] == ["epochs charged", "training loss by step"]


def test_curves_come_in_the_order_of_sparsity_whatever_order_records_come_in(
    tmp_path: Path, suite: Suite, records: list[Record]
) -> None:
    write(tmp_path / "a", suite, records)
    write(tmp_path / "b", suite, records[::-1])
    run = "curves/prune-finetune/mlp-16_digits-lr0.1"
    both = [list(scalars(read(tmp_path / name), run, f"{CURVE}/mean").items()) for name in "ab"]
    assert both[0] == both[1]
    assert [step for step, _ in both[0]] == [50, 90]


def test_while_it_runs_whole_points_are_there(tmp_path: Path, suite: Suite, records: list[Record]) -> None:
    mine = [r for r in records if r.result.method == "prune-finetune"]
    run = "curves/prune-finetune/mlp-16_digits-lr0.1"
    with writing(tmp_path, suite, True) as event:
        for record in mine[:3]:
            event(record)
        assert list(scalars(read(tmp_path), run, f"{CURVE}/mean")) == [50]
    assert scalars(read(tmp_path), run, f"{CURVE}/seeds") == {50: 2, 90: 1}


def test_records_that_were_there_are_in_it(tmp_path: Path, suite: Suite, records: list[Record]) -> None:
    append_line(tmp_path / "records/dense.jsonl", records[0].line())
    append_line(tmp_path / "records/dense.jsonl", '{"half')
    write(tmp_path, suite, [])
    assert len(files(tmp_path)) == 2


def test_fractions_of_a_percent_have_steps_of_their_own(tmp_path: Path, suite: Suite, records: list[Record]) -> None:
    fine = suite.model_copy(update={"sparsities": (0.99, 0.995)})
    result = records[0].result.model_copy(update={"sparsity": 0.995})
    write(tmp_path, fine, [records[0].model_copy(update={"result": result})])
    [curve] = [run for run in read(tmp_path).Runs() if run.startswith("curves/")]
    assert list(scalars(read(tmp_path), curve, "test accuracy by hundredths of a percent removed/mean")) == [9950]


def test_without_tensorboard_one_line_and_no_work(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    words = ("run", out.parent.parent / "little.toml", "--serial", "--tensorboard", "--out", tmp_path / "new")
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2
    assert done.stderr == "lthbench: --tensorboard needs TensorBoard; type: pip install 'lthbench[tensorboard]'\n"
    assert not (tmp_path / "new/records").exists()
    assert json.loads((tmp_path / "new/suite.json").read_text())["name"] == "little"
