"""Kept measurements, and the hours and cost that a plan computes from them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from lthbench.bench.clock import enough, ratio
from lthbench.bench.estimate import Estimate, estimate
from lthbench.bench.floor import SIZES, Floor, measured
from lthbench.bench.measurement import Measurement, Speed, keep, kept
from lthbench.bench.step import shares
from lthbench.bench.table import rows
from lthbench.models import Model
from lthbench.models.cost import activations, multiplications
from lthbench.suite import Suite

CIFAR10 = Suite.read("cifar10-lite")
RESNET, VGG, MLP = (Model(name, (3, 32, 32), 10, "all") for name in ("resnet20", "vgg16", "mlp-8"))


def measurement(**changes: Any) -> Measurement:
    plain: dict[str, Any] = {
        "workload": "resnet20/synthetic", "stem": "", "shape": (3, 32, 32), "batch": 128, "precision": "bf16", "augment": "crop-flip",
        "kind": "Some GPU 80GB", "device": "cuda", "torch": "2", "epoch": 50_000,
        "multiplications": multiplications(RESNET, {})[1], "bandwidth": 3e12, "rate": 6e14,
        "floor": 0.07, "plain": 4.0, "ours": 2.0, "ratio": 0.5, "shares": {"data": 0.1},
        "speeds": (Speed(lanes=1, epochs_per_second=1.0), Speed(lanes=8, epochs_per_second=5.0)),
    }  # fmt: skip
    return Measurement(**(plain | changes))


def of(model: Model, *found: Measurement, suite: Suite = CIFAR10, size: int = 50_000) -> Estimate:
    workload = suite.workload[0].model_copy(update={"model": model.name})
    return estimate(suite, workload, model, size, 3600.0, found)


def test_hours_are_those_of_the_fastest_way() -> None:
    assert of(RESNET, measurement()).hours == pytest.approx(1 / 5)
    assert of(RESNET, measurement(), size=25_000).hours == pytest.approx(1 / 10)


def test_another_model_is_scaled_by_its_multiplications_and_says_so() -> None:
    factor = multiplications(VGG, {})[1] / multiplications(RESNET, {})[1]
    found = of(VGG, measurement())
    assert found.hours == pytest.approx(factor / 5)
    assert f"times {factor:.3g} for the multiplications" in found.basis


def test_the_model_itself_goes_before_one_of_its_size() -> None:
    other = measurement(workload="vgg16/synthetic", speeds=(Speed(lanes=1, epochs_per_second=100.0),))
    assert of(RESNET, other, measurement()).hours == pytest.approx(1 / 5)
    at_its_batch = measurement(speeds=(Speed(lanes=1, epochs_per_second=50.0),))
    assert of(RESNET, measurement(batch=64), at_its_batch).hours == pytest.approx(1 / 50)


@pytest.mark.parametrize("found", [[], [measurement(precision="fp32")]])
def test_what_was_not_timed_is_unknown_and_says_what_to_type(found: list[Measurement]) -> None:
    unknown = of(RESNET, *found)
    assert unknown.hours is None
    assert unknown.basis == "unknown; type: lthbench speed resnet20/cifar10 --precision bf16"


def test_the_program_that_trains_here_is_the_one_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files from before programs were noted count where there is no other."""
    monkeypatch.setattr("lthbench.bench.estimate.program", lambda device: "fused")
    fused, other, old = (
        measurement(program=program, speeds=(Speed(lanes=1, epochs_per_second=rate),))
        for program, rate in [("fused", 5.0), ("reference", 50.0), ("", 10.0)]
    )
    assert of(RESNET, old, other, fused).hours == pytest.approx(1 / 5)
    assert of(RESNET, other, old).hours == pytest.approx(1 / 10)
    assert of(RESNET, other).hours is None


def test_a_model_of_quite_another_size_is_unknown() -> None:
    assert of(MLP, measurement()).hours is None


def test_each_program_has_a_file_and_older_files_name_none(tmp_path: Path) -> None:
    for program in ("fused", "reference"):
        path = keep(tmp_path, measurement(program=program))
    older = measurement().model_dump(mode="json", exclude={"program"})
    path.with_name("older.json").write_text(json.dumps(older))
    assert {found.program for found in kept(tmp_path, "Some GPU 80GB")} == {"fused", "reference", ""}


def test_measurements_are_kept_by_device_and_replaced_by_the_next(tmp_path: Path) -> None:
    one, other = measurement(program="fused"), measurement(program="reference", batch=64)
    for found in (measurement(ours=9.0, program="fused"), one, other, measurement(kind="Another")):
        path = keep(tmp_path, found)
    assert kept(tmp_path, "Some GPU 80GB") == [one, other]
    path.write_text("half a fi")
    assert kept(tmp_path, "Another") == kept(tmp_path, "no such") == []


def test_activations_of_resnet20_are_the_outputs_of_its_convolutions() -> None:
    stages = 7 * 16 * 32**2 + 6 * 32 * 16**2 + 6 * 64 * 8**2
    shortcuts = 32 * 16**2 + 64 * 8**2
    assert activations(RESNET) == stages + shortcuts + 10


def test_the_floor_is_memory_or_arithmetic_whichever_is_slower() -> None:
    slow_memory, slow_rate = Floor(1e9, 1e30), Floor(1e30, 1e9)
    assert slow_memory.image(RESNET, "bf16") == pytest.approx(11 * 2 * activations(RESNET) / 1e9)
    assert slow_memory.image(RESNET, "fp32") == 2 * slow_memory.image(RESNET, "bf16")
    assert slow_rate.image(RESNET, "fp32") == pytest.approx(6 * multiplications(RESNET, {})[1] / 1e9)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1))
def test_a_spell_that_slows_a_whole_round_leaves_the_ratio(pairs: list[tuple[float, float]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    slowed = [[t * (1 + i) for i, t in enumerate(times)] for times in (one, other)]
    assert ratio(one, other) == pytest.approx(ratio(*slowed))


@given(st.floats(1e-6, 1), st.floats(0, 1), st.floats(1e-3, 10))
def test_enough_steps_take_as_long_as_asked_and_not_much_longer(each: float, start: float, least: float) -> None:
    tried: list[int] = []

    def seconds(steps: int) -> float:
        tried.append(steps)
        return start + steps * each

    steps, took = enough(seconds, least)
    assert steps == tried[-1] and took == seconds(steps) >= least
    assert took <= max(seconds(2), 1.3 * least + 2 * each)
    assert len(tried) < 100


def test_a_good_guess_is_timed_once() -> None:
    tried: list[int] = []

    def seconds(steps: int) -> float:
        tried.append(steps)
        return 0.01 * steps

    assert enough(seconds, 1.0, guess=110) == (110, pytest.approx(1.1))
    assert tried == [110]


def test_the_floor_is_measured_on_random_numbers_and_by_many_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants cost a device less power, and the start of one copy is a part of its time."""
    seen: dict[str, Any] = {}

    def one_second(works: dict[str, Any], device: torch.device, count: int) -> dict[str, list[float]]:
        with Copies() as copies:
            works["copy"]()
        seen.update(copies=copies.count, product=works["product"]())
        return {name: [1.0] for name in works}

    monkeypatch.setattr("lthbench.bench.floor.rounds", one_second)
    monkeypatch.setitem(SIZES, "cpu", (1000, 8))
    found = measured("fp32", torch.device("cpu"))
    assert len(seen["product"].unique()) == 64
    assert seen["copies"] > 1 and found.bandwidth == 2 * seen["copies"] * 1000 and found.rate == 2 * 8**3


class Copies(TorchDispatchMode):
    """A mode that counts copies of bytes."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten.copy_.default
        return func(*args, **(kwargs or {}))


def test_shares_add_up_to_a_step() -> None:
    found = shares({"data": [1.0], "forward": [3.0], "backward": [9.0], "update": [10.0]})
    assert found == pytest.approx({"data": 0.1, "forward": 0.2, "backward": 0.6, "update": 0.1})
    noisy = shares({"data": [1.0], "forward": [3.0], "backward": [10.5], "update": [10.0]})
    assert sum(noisy.values()) == pytest.approx(1) and noisy["update"] == 0


def test_the_table_has_the_floor_as_the_fastest_and_cores_have_one_each() -> None:
    table = list(rows(measurement()))
    assert [row[-1] for row in table] == ["100.0%", "1.8%", "3.5%", "7.0%", "35.0%"]
    assert [row[3] for row in table[1:3]] == [1.0, 2.0]
    assert list(rows(measurement(device="cpu")))[-1][-1] == "4.4%"
