"""`lthbench plan` with hours: the simulated schedule, a deadline, devices that join, straggle and fail; and disk space."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from lthbench.bench import forecast
from lthbench.bench.forecast import Forecast
from lthbench.bench.measurement import Speed, keep
from lthbench.bench.simulation import BUSY, Fleet
from lthbench.cli import main
from lthbench.models.cost import multiplications
from lthbench.runs.driver.job import Job
from lthbench.suite import Suite
from lthbench.training import numerics
from tests.bench.test_measurement import measurement

EPOCH = 36.0  # seconds on a device that does two at once


@pytest.fixture
def timed(tmp_path: Path, data_folder: Path) -> Path:
    """Return a data folder in which the workload of `smoke` was timed on the CPU."""
    (tmp_path / "digits").symlink_to(data_folder / "digits")
    suite = Suite.read("smoke")
    model = suite.workload[0].build((1, 8, 8), 10)
    keep(
        tmp_path,
        measurement(
            workload="mlp-32/digits", shape=model.shape, batch=64, precision="fp32", device="cpu", epoch=1167,
            kind=numerics.environment(torch.device("cpu"))["kind"], multiplications=multiplications(model, {})[1],
            speeds=(Speed(lanes=2, epochs_per_second=1 / EPOCH),),
        ),
    )  # fmt: skip
    return tmp_path


def planned(data: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["plan", "smoke", "--data", str(data), "--device", "cpu", *map(str, words)])


def found(data: Path, *words: object) -> Any:
    done = planned(data, "--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_hours_are_those_of_the_schedule(timed: Path) -> None:
    one, two = found(timed), found(timed, "--gpus", 2)
    device = one["workloads"][0]["device hours"]
    assert device == pytest.approx(one["epochs_computed"] * EPOCH / 3600)
    assert two["workloads"] == one["workloads"]
    assert device <= one["hours"] < 1.2 * device and one["hours"] / 2 <= two["hours"] < 0.7 * one["hours"]
    assert 0.8 < one["utilisation"] <= 1


def test_money_is_for_devices_that_are_there_with_or_without_work(timed: Path) -> None:
    priced = found(timed, "--gpus", 16, "--price-per-hour", 100)
    assert priced["price"] == pytest.approx(100 * 16 * priced["hours"], rel=0.01)
    assert priced["utilisation"] < 0.8


def test_a_deadline_says_how_many_devices(timed: Path) -> None:
    hours = found(timed)["hours"]
    needed = found(timed, "--deadline", hours / 3)["devices_for_the_deadline"]
    assert needed >= 3
    assert found(timed, "--gpus", needed)["hours"] <= hours / 3 < found(timed, "--gpus", needed - 1)["hours"]
    assert found(timed, "--deadline", 2 * hours)["devices_for_the_deadline"] == 1


def test_a_deadline_that_no_number_of_devices_meets(timed: Path) -> None:
    said = found(timed, "--deadline", 0.01)["devices_for_the_deadline"]
    assert said.startswith("no number of them: the longest run alone takes 0.")


def test_a_table_of_devices_and_a_sentence(timed: Path) -> None:
    table = found(timed, "--simulate")
    used = table["devices_it_can_use"]
    assert [row["devices"] for row in table["schedule"]] == [1 << k for k in range(used.bit_length() + 1)]
    assert all(row["utilisation"] >= BUSY for row in table["schedule"] if row["devices"] <= used)
    said = planned(timed, "--simulate").output
    assert f"This suite can use {used} device" in said and "of 2 trainings at once." in said


def test_what_slows_a_schedule_down_and_what_helps(timed: Path) -> None:
    plain = found(timed, "--gpus", 2)["hours"]
    assert found(timed, "--gpus", 2, "--stragglers", "1x3")["hours"] == pytest.approx(3 * plain, rel=0.05)
    assert found(timed, "--gpus", 2, "--failures", 20)["hours"] > plain
    assert found(timed, "--gpus", 2, "--failures", 20, "--seed", 1) != found(timed, "--gpus", 2, "--failures", 20)
    assert found(timed, "--gpus", 2, "--joins", "3@0")["hours"] < plain
    assert found(timed, "--gpus", 2, "--joins", "3@100")["hours"] == plain


def test_without_a_bench_it_says_what_to_type(tmp_path: Path, data_folder: Path) -> None:
    said = planned(data_folder, "--simulate", "--deadline", 1).output
    assert "lthbench speed mlp-32/digits --precision fp32 --batch 64 --augment none" in said
    assert "devices for the deadline  unknown" in said
    assert said.rstrip().endswith("run the commands beside the workloads, then run this command again.")
    assert found(data_folder, "--deadline", 1)["hours"] is None


def test_disk_by_what_is_kept(timed: Path) -> None:
    rows = {row["keep"]: row for row in found(timed)["disk"]}
    assert list(rows) == ["masks", "finals", "all"]
    assert rows["all"]["disk while running"] == rows["all"]["disk that stays"] > rows["masks"]["disk that stays"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--deadline", 0), "0.0 is not in the range x>0"),
        (("--deadline", "soon"), "'soon' is not a valid float"),
        (("--gpus", 0), "0 is not in the range x>=1"),
        (("--joins", "4"), "'4' is not N@HOURS; an example is 4@2.5"),
        (("--joins", "1.5@2"), "'1.5@2' is not N@HOURS; an example is 4@2.5"),
        (("--stragglers", "x3"), "'x3' is not SHARExFACTOR; an example is 0.1x3"),
        (
            ("--stragglers", "2x3"),
            "'2x3' is not SHARExFACTOR: the share of devices must be in 0…1, the factor at least 1",
        ),
        (("--stragglers", "0.1x0.5"), "the share of devices must be in 0…1, the factor at least 1"),
        (("--failures", -1), "-1.0 is not in the range 0<=x<=1000000"),
        (("--failures", "inf"), "inf is not in the range 0<=x<=1000000"),
    ],
)
def test_bad_input_is_said_in_one_line(tmp_path: Path, words: tuple[object, ...], said: str) -> None:
    done = planned(tmp_path, *words)
    assert done.exit_code == 2
    assert said in done.output.splitlines()[-1]


def test_a_large_suite_is_simulated_on_some_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "SAMPLE", 60)
    many = Suite.read("smoke").model_copy(update={"seeds": 400})
    job = Job.make(many, data=tmp_path, device="cpu", planning=True)
    short = Forecast.of(job.outline, dict.fromkeys(many.workload, 10.0), Fleet(1))
    monkeypatch.setattr(forecast, "SAMPLE", 10**6)
    whole = Forecast.of(job.outline, dict.fromkeys(many.workload, 10.0), Fleet(1))
    assert (short.graph.seeds, short.scale) == (6, 400 / 6)
    assert (whole.graph.seeds, whole.scale) == (400, 1)
    assert whole.hours(4) <= short.hours(4) < 1.2 * whole.hours(4)
    assert short.usable <= whole.usable
