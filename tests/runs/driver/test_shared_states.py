"""Runs whose masks turn out to be equal share a network that no plan could foresee. It stays until the last of them ends."""

import threading
from pathlib import Path
from typing import Any

import pytest

from lthbench import Gradients, Network, Run, magnitude
from lthbench.data import DataHome
from lthbench.methods.internals.operations import Measure
from lthbench.runs.driver.broker import Broker
from tests.runs.helpers import EPOCHS, ONE, driver, method, store_in


def quick(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(init))))


def slow(run: Run) -> Network:
    init = run.init()
    net = run.train(init.masked(run.select({name: 2 * w.abs() for name, w in init.prunable.items()})))
    run.measure(net, Gradients(), per_class=10)
    return net


def test_a_network_stays_while_another_run_looks_at_it(
    tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, value = threading.Event(), Broker.value

    def late(self: Broker, operation: Any, edit_tensors: Any) -> Any:
        if isinstance(operation, Measure):
            assert ended.wait(60)
        return value(self, operation, edit_tensors)

    monkeypatch.setattr(Broker, "value", late)
    d = driver(ONE, [method(slow), method(quick)], tmp_path, home, executor="local", workers=1)
    broker = d.run(lambda record: ended.set())
    assert [record.result.status for record in d.records] == ["ok", "ok"]
    assert [record.result.method for record in d.records] == ["quick", "slow"]
    assert broker.counts.epochs < EPOCHS + 1  # one training, and a measurement on some examples
    assert not list((store_in(tmp_path).root / "states").glob("*"))
