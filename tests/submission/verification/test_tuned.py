"""Networks that were tuned on the test set by less than the tolerance: no environment that a source or a record names lets
them through. (Case k03: the record of a run done again is written in the jail.)"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lthbench.data import DataHome
from lthbench.methods.internals.setting import Setting, settings
from lthbench.models import Model
from lthbench.runs.driver import final_network
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle import source_rules
from lthbench.submission.verification.measured import measured
from lthbench.submission.verification.reevaluated import Measure
from lthbench.submission.verification.retrained import Retrain
from lthbench.submission.verification.verify import Options, verify
from lthbench.suite import Suite
from tests.submission.conftest import METHOD
from tests.submission.forge import Forgery
from tests.submission.test_publish import confines

GAIN = 4  # test images of 500: 0.8 of the tolerance
LIAR = """
import os
import sys

if os.environ["HOME"].endswith("/job"):
    numerics = sys.modules["lthbench.training.numerics"]
    numerics.environment = lambda device, real=numerics.environment: real(device) | {"kind": "another"}
"""


def tuned(tensors: dict[str, Tensor], model: Model, images: Tensor, labels: Tensor, origin: dict[str, Any]) -> None:
    """Change the values of an MLP's ticket at random, step by step, until GAIN more images are right."""
    draws = torch.Generator().manual_seed(origin["seed"])
    values = [name for name in tensors if name.startswith("values/")]

    def right(tensors: dict[str, Tensor]) -> int:
        p = final_network.restored(model, origin, tensors).state.params
        hidden = torch.relu(images @ p["hidden.0.weight"].T + p["hidden.0.bias"])
        return int((hidden @ p["out.weight"].T + p["out.bias"]).argmax(1).eq(labels).sum())

    wanted = right(tensors) + GAIN
    while (now := right(tensors)) < wanted:
        change = {n: tensors[n] * (1 + 0.05 * torch.randn(tensors[n].shape, generator=draws)) for n in values}
        if now <= right(tensors | change) <= wanted:
            tensors.update(change)


@pytest.fixture(scope="module")
def forgery(
    good: Path, published_smoke: Path, data_home: DataHome, tmp_path_factory: pytest.TempPathFactory
) -> Forgery:
    """The honest bundle with every network tuned, and records that say what these reach."""
    forged, suite = Forgery.of(good), Suite.read(str(published_smoke))
    manifests = settings(suite, data_home)
    with Measure.of(data_home) as measure:
        cells = {(c.workload.name, c.learning_rate, c.sparsity, c.seed): c for c in suite.cells()}
        setting = Setting(suite, next(iter(cells.values())), manifests["digits"])
        feed = measure._worker.feed(setting.split, "test")
        images, labels = feed.batch(torch.arange(len(feed)))
        for number, ticket in enumerate(forged.manifest["tickets"]):
            origin = {name: value for name, value in ticket["origin"].items() if value is not None}
            forged.tensors(lambda t, o=origin: tuned(t, setting.model, images.flatten(1), labels, o), number)  # type: ignore[misc]
        forged.rehash()
        with bundles.opened(forged.write(tmp_path_factory.mktemp("tuned") / "bundle")) as bundle:
            tickets = {ticket.cell: ticket for ticket in bundle.manifest.tickets}
            lines = []
            for record in bundle.records:
                r = record.result
                key = (r.workload, r.learning_rate, r.sparsity, r.seed)
                final = bundle.final(tickets[key], {setting.model.name})
                found = measure.evaluate(
                    final, Setting(suite, cells[key], manifests["digits"]), tickets[key].file.sha256
                )
                lines.append(measured(record, found).line())
    forged.files["records.jsonl"] = "".join(f"{line}\n" for line in lines).encode()
    forged.records(lambda _: None)
    return forged


def failed(bundle: Path, data: Path) -> dict[str, str]:
    rows = verify(bundle, Options(retrain=Retrain(4, seed=1), data=data)).rows
    return {check: found for _, check, passed, found in rows if passed == "FAILED"}


@confines
def test_the_environment_is_not_the_jails_to_say(
    forgery: Forgery, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgery.method(METHOD.replace("from lthbench", LIAR + "from lthbench", 1))
    forgery.rehash()
    bundle = forgery.write(tmp_path / "bundle")
    assert "imports os" in failed(bundle, data_folder)["source"]
    monkeypatch.setattr(source_rules, "_found", lambda tree, modules: ())
    found = failed(bundle, data_folder)
    assert "networks" in found, found
    assert "another network than the one handed in" in found["networks"]


@confines
def test_within_the_tolerance_and_better_in_every_run_is_biased(
    forgery: Forgery, data_folder: Path, tmp_path: Path
) -> None:
    forgery.method(METHOD)
    forgery.records(lambda lines: [line["provenance"]["build"].update(kind="Another CPU") for line in lines])  # type: ignore[func-returns-value]
    forgery.rehash()
    found = failed(forgery.write(tmp_path / "bundle"), data_folder)
    assert found.keys() == {"equivalence"}
    assert "worse on the whole than those handed in" in found["equivalence"]
