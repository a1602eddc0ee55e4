"""The charge on the record is what networks saw: counted a second time, on the modules themselves, for every method."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lthbench.methods import registry
from lthbench.runs.driver.job import Job
from lthbench.submission.battery.check import without_exceeded_budget
from lthbench.suite import Suite


class Count(threading.local):
    seen = 0
    depth = 0


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Iterator[Count]:
    """Examples in outermost calls of modules, in this thread. Images that are one value throughout count for nothing."""
    count, call = Count(), nn.Module.__call__

    def counted(module: nn.Module, *args: Any, **options: Any) -> Any:
        if not count.depth and args and isinstance(args[0], Tensor) and not args[0].is_meta:
            images = _behind_vmap(args[0]).detach()
            shown = images.numel() > 0 and bool((images != images.flatten()[0]).any())
            count.seen += shown * images.numel() // max(1, args[0].shape[1:].numel())
        count.depth += 1
        try:
            return call(module, *args, **options)
        finally:
            count.depth -= 1

    monkeypatch.setattr(nn.Module, "__call__", counted)
    yield count


def _behind_vmap(images: Tensor) -> Tensor:
    """Return the tensor with the images of all examples, where vmap shows a module one of them."""
    while torch._C._functorch.is_functorch_wrapped_tensor(images):
        images = torch._C._functorch.get_unwrapped(images)
    return images


ARMS = ("-long", "-shuffled", "-reinit")  # of one criterion: they measure what it measures
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name.endswith(ARMS) else name for name in sorted(registry.load_all())
]


@pytest.mark.parametrize("name", NAMES)
def test_the_charge_is_what_was_seen(name: str, tmp_path: Path, data_folder: Path, count: Count) -> None:
    suite = without_exceeded_budget(Suite.read(registry.find(name).suite), name)
    one = suite.model_copy(
        update={
            "seeds": 1,
            "sparsities": suite.sparsities[:1],
            "control_sparsities": (),
            "learning_rates": suite.learning_rates[:1],
        }
    )
    driver = Job.make(one, [name], data_folder, only=True, device="cpu").driver(
        tmp_path, executor="serial", start="fork"
    )
    driver.run()
    [record] = driver.records
    result = record.result
    assert result.status == "ok", result.reason
    assert count.seen == sum(result.charged.values()) + sum(result.off_budget.values())
    assert sum((record.provenance.seen or {}).values()) == count.seen - result.charged["validate"]
