"""Honest methods of many shapes lose nothing by the meter: each runs, and is charged what it says."""

from pathlib import Path

import pytest

from lthbench.methods import registry
from lthbench.runs.driver.job import Job
from lthbench.submission.battery.allowed import refused
from lthbench.submission.battery.check import own_work
from lthbench.submission.bundle import source_rules
from lthbench.suite import Suite

FILE = Path(__file__).parent / "honest/shapes.py"
MODULE = registry.load(FILE)
NAMES = sorted(name for name, m in registry.METHODS.items() if m.function.__module__ == MODULE)
PASSES = {name: m.function.__globals__["PASSES"][name] for name, m in registry.METHODS.items() if name in NAMES}
METHODS = {name: registry.METHODS.pop(name) for name in NAMES}


def test_there_are_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_rules, "LITERALS", 1000)  # a bundle has one method
    assert len(NAMES) >= 20
    assert refused(FILE) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_honest_method_is_charged_what_it_says(name: str, tmp_path: Path, data_folder: Path) -> None:
    one = Suite.read("smoke").model_copy(
        update={"budget": "10T", "seeds": 1, "sparsities": (0.8,), "learning_rates": (0.1,)}
    )
    job = Job.make(one, [METHODS[name]], data_folder, only=True, device="cpu")
    driver = job.driver(tmp_path, executor="serial", start="fork")
    driver.run()
    [record] = driver.records
    assert record.result.status == "ok", record.result.reason
    assert record.result.charged["score"] == PASSES[name] * record.result.epoch
    assert own_work(record) is None
