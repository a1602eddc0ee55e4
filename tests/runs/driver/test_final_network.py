"""Finals: what is kept of a network gives the network again, with its start, bit for bit."""

from pathlib import Path

import pytest

from lthbench import Network
from lthbench.data import DataHome
from lthbench.methods.internals.context import context_of
from lthbench.methods.network import origin_of
from lthbench.methods.run import Run
from lthbench.models import Model
from lthbench.pruning.tensors import digest
from lthbench.runs.driver import final_network
from lthbench.runs.driver.final_network import FinalNetwork, restored
from tests.runs.helpers import ONE, chance, drive, finetune, gradual, method, open_run, rewind, same, store_in, ticket


def reinit(run: Run) -> Network:
    init = run.init(stream=1)
    return run.train(init.with_weights({"out.bias": init.params["out.bias"] + 0.5}))


def kept(out: Path, weights: str) -> FinalNetwork:
    tensors, note = store_in(out).read(final_network.KIND, weights)
    named = {n: tuple(v) if isinstance(v, list) else v for n, v in note["model"].items()}
    return restored(Model(**named), note["origin"], tensors)


@pytest.mark.parametrize(
    ("function", "kind"),
    [(ticket, "init"), (finetune, "trained"), (rewind, "trained"), (chance, "init"), (gradual, "init")],
)
def test_the_network_and_its_start_come_back(tmp_path: Path, home: DataHome, function, kind: str) -> None:  # type: ignore[no-untyped-def]
    [result] = drive(ONE, [method(function)], tmp_path, home, keep="finals").of(function.__name__)
    final = kept(tmp_path, result.weights)
    assert final.origin["kind"] == kind
    assert digest(final.state.params | final.state.buffers) == result.weights
    assert digest(final.state.mask) == result.mask_digest
    assert any(name.startswith("start/") for name in final.tensors) == (kind != "init")
    with open_run(tmp_path / "again", home) as run:
        net = function(run)
        start = context_of(run).engine.broker.network(origin_of(net).trajectory.start, context_of(run).edit_tensors)  # type: ignore[attr-defined]
        for name, t in start.params.items():
            mask = net.mask.tensors.get(name)
            assert final.start.params[name].equal(t if mask is None else t * mask), name


def test_edited_initial_weights_are_kept_as_they_are(tmp_path: Path, home: DataHome) -> None:
    suite = ONE.model_copy(update={"sparsities": (0.0,)})
    [result] = drive(suite, [method(reinit)], tmp_path, home, keep="finals").of("reinit")
    final = kept(tmp_path, result.weights)
    assert final.origin == {"kind": "edited"}
    assert final.start.params["out.bias"].eq(0.5).all()
    assert same(final.start.mask, final.state.mask)
