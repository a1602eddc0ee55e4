"""Suites that name a model in a file and a pretrained start: the same results everywhere, and what a method gets."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from lthbench import Network, Run, load_ticket, magnitude
from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.errors import InputError
from lthbench.methods.internals.setting import settings
from lthbench.models.checkpoint import read
from lthbench.submission.battery.substitution import substituted
from lthbench.suite import Suite, in_folder
from tests.runs.given import given_suite, write_net
from tests.runs.helpers import Outcome, drive, method, open_run, ticket


def reinit(run: Run) -> Network:
    """The mask of a ticket on another draw."""
    dense = run.train(run.init())
    return run.train(run.init(1).masked(run.select(magnitude(dense))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("given")


@pytest.fixture(scope="module")
def suite(folder: Path) -> Suite:
    return given_suite(folder)


@pytest.fixture(scope="module")
def serial(folder: Path, suite: Suite, home: DataHome) -> Outcome:
    done = drive(suite, [method(ticket), method(reinit)], folder / "serial", home, keep="finals")
    (done.out / "suite.json").write_text(suite.as_json())
    return done


def test_new_processes_give_the_results_of_this_one(
    serial: Outcome, suite: Suite, home: DataHome, tmp_path: Path
) -> None:
    done = drive(suite, [method(ticket), method(reinit)], tmp_path, home, executor="local", start="spawn")
    assert {record.result.status for record in done.records} == {"ok"}
    assert done.results == serial.results


def test_the_record_says_what_was_given_and_charges_nothing_for_it(serial: Outcome, suite: Suite) -> None:
    own, pretrained = suite.workload
    by_name = {r.workload: r for r in serial.of("ticket")}
    assert by_name.keys() == {"net.py:Net/digits", "timm:test_resnet/digits from resnet"}
    assert by_name[own.name].fingerprints["model"] == own.model_digest
    assert by_name[pretrained.name].fingerprints["start"] == pretrained.start_digest
    assert by_name[pretrained.name].pipeline == "start → train 1 → mask 50 % → start masked → train 1"
    for r in serial.of("ticket"):
        assert r.charged == {"train": 2 * 128, "score": 0, "validate": 0}
        assert r.mask_digest and r.correlation["init"]
    controls = {r.workload: r.pipeline for r in serial.of("reinit")}
    assert controls[pretrained.name] == "start → train 1 → mask 50 % → init 1 masked → train 1"


def test_a_ticket_of_a_run_folder_starts_with_the_pretrained_weights(serial: Outcome, folder: Path) -> None:
    found = load_ticket(serial.out, workload="timm:test_resnet/digits from resnet", method="ticket")
    name = "layer4.0.conv1.weight"
    wanted = read(folder / "resnet.safetensors").tensors[name]
    assert torch.equal(found.start[name], torch.where(found.mask.tensors[name], wanted, 0))
    assert in_folder(serial.out).workload[0].model_digest
    assert load_ticket(serial.out, workload="net.py:Net/digits", method="ticket").module()(
        torch.zeros(1, 1, 8, 8)
    ).shape == (1, 10)


def test_only_the_workloads_own_draw_is_the_start(suite: Suite, home: DataHome, folder: Path, tmp_path: Path) -> None:
    wanted = read(folder / "resnet.safetensors").tensors["layer4.0.conv1.weight"]
    other = suite.model_copy(update={"workload": suite.workload[1:]})
    with open_run(tmp_path, home, other) as run:
        same = {
            words: torch.equal(net.params["layer4.0.conv1.weight"], wanted)
            for words, net in {
                "init": run.init(), "own model": run.init(model=run.model), "stream": run.init(1),
                "scheme": run.init(scheme="uniform"), "other model": run.init(model="timm:test_resnet"),
            }.items()
        }  # fmt: skip
    assert same == {"init": True, "own model": True, "stream": False, "scheme": False, "other model": True}


def test_a_method_cannot_bring_a_file(suite: Suite, home: DataHome, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'done')!r}, 'w')\n")
    with open_run(tmp_path, home, suite) as run:
        for name in (f"{tmp_path}/evil.py:Net", "evil.py:Net"):
            with pytest.raises(InputError, match="its code is not here"):
                run.init(model=name)
    assert not (tmp_path / "done").exists()


def test_the_substitution_of_names_keeps_file_and_start(suite: Suite, home: DataHome, data_folder: Path) -> None:
    for workload in suite.workload:
        other = substituted(suite.model_copy(update={"workload": (workload,)}))
        renamed = other.workload[0].model_copy(update={"dataset": "digits"})
        assert settings(other.model_copy(update={"workload": (renamed,)}), home)


SUITE = """
name = "given"
version = "0.1"
methods = ["dense"]
learning_rates = [0.1]
sparsities = [0.5]
seeds = 1
budget = "2T"
validation = 130
duels = []
tickets = []
recipe = {{ epochs = 1, batch = 64, examples = 64 }}
[[workload]]
dataset = "digits"
prunable = "all"
{}
"""


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ('model = "gone.py:Net"', "model = 'gone.py:Net': there is no file"),
        ('model = "net.py:Nat"', "Did you mean 'Net'"),
        ('model = "net.py"', "is named by a suite as FILE.py:NAME"),
        ('model = "net.py:Net"\nmodel_digest = "12"', "model_digest = '12'"),
        ('model = "mlp-8"\nstart = "gone.pth"', "start = 'gone.pth': there is no file"),
        ('model = "mlp-8"\nstart = "net.py"', "is neither a file (.safetensors"),
        ('model = "mlp-8"\nstart = 3', "start = 3"),
        ('model = "mlp-8"\nstart = "net.pth"', "start = 'net.pth' does not fit: it has no hidden.0.weight"),
        ('model = "mlp-8"\nstart = "timm:resnet18"', "timm has no pretrained weights 'resnet18'; they are NAME.TAG"),
        ('model = "timm:resnet10t"\nstart = "timm:resnet10t.c3_in1k"', "type lthbench data get timm:resnet10t.c3_in1k"),
    ],
)
def test_a_wrong_value_is_one_line_and_nothing_is_run(keys: str, why: str, tmp_path: Path, data_folder: Path) -> None:
    write_net(tmp_path)
    torch.save({"a": torch.ones(1)}, tmp_path / "net.pth")
    (tmp_path / "own.toml").write_text(SUITE.format(keys))
    words = ["run", str(tmp_path / "own.toml"), "--out", str(tmp_path / "r"), "--data", str(data_folder)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1, done.output
    assert why in done.stderr
    assert not (tmp_path / "r").exists()


def test_no_bundle_is_made_of_a_suite_with_a_model_in_a_file(serial: Outcome, tmp_path: Path) -> None:
    words = ["--method", "lottery-ticket", "--authors", "Somebody", "--out", str(tmp_path / "b")]
    done = CliRunner().invoke(main, ["submit", str(serial.out), *words])
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1, done.output
    assert "names a model in a file, net.py:Net: no bundle holds its code" in done.stderr
