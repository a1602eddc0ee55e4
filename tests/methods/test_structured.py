"""Whole channels from a training to the record, and the network that remains without them."""

from pathlib import Path

import pytest
import torch
from torch import Generator, nn

from lthbench import MethodError, Run, Slimming, Steps, compact, magnitude
from lthbench.data import DataHome
from lthbench.methods import registry
from lthbench.methods.internals.context import context_of
from lthbench.models.cost import multiplications
from lthbench.suite.workload import Workload
from tests.runs.helpers import drive, found, open_run, tiny

VGG = Workload(model="vgg11-w0.05", dataset="digits", prunable="all")
CELL = {"workload": (VGG,), "sparsities": (0.5,), "seeds": 1}
BASELINES = registry.load_all()

CRITERION = """
import torch_pruning as tp

@method("own", cost="2T")
def own(run: Run) -> Network:
    dense = run.train(run.init())
    scores = importance_scores(dense, tp.importance.LAMPImportance())
    return run.train(dense.masked(run.select(scores, units=dense.units)).at(0))
"""


@pytest.fixture
def run(tmp_path: Path, home: DataHome) -> Run:  # type: ignore[misc]
    with open_run(tmp_path, home, tiny(**CELL, budget="none")) as run:
        yield run


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_penalty_pulls_every_scale_toward_zero(run: Run) -> None:
    plain, pulled = (run.train(run.init(), until=Steps(1), rule=Slimming(strength)) for strength in (0.0, 0.25))
    scales = [net.units.param("gamma", net.params) for net in (plain, pulled)]
    for name, gamma in scales[0].items():  # they start at 1, and the learning rate is 0.1
        torch.testing.assert_close(gamma - scales[1][name], torch.full_like(gamma, 0.1 * 0.25))
    rest = set(plain.params) - {name for name in plain.params if name.endswith("bn.weight")}
    assert all(torch.equal(plain.params[name], pulled.params[name]) for name in rest)


def test_a_network_without_scales_says_so(tmp_path: Path, home: DataHome) -> None:
    with open_run(tmp_path, home) as run, pytest.raises(MethodError, match="gamma"):
        run.train(run.init(), rule=Slimming())


def test_the_record_tells_the_size_that_the_compacted_network_has(tmp_path: Path, home: DataHome) -> None:
    methods = [BASELINES["slimming"], BASELINES["prune-finetune"], found(tmp_path, CRITERION)]
    done = drive(tiny(**CELL), methods, tmp_path, home)
    assert [record.result.reason for record in done.records] == [None] * 3
    for name in ("slimming", "own"):
        [result] = done.of(name)
        assert "mask 50 % in units" in result.pipeline
        size, products = result.compact
        assert result.parameters_total - size >= result.removed >= result.prunable / 2
        assert products <= result.multiplications[0] < result.multiplications[1]
    [scattered] = done.of("prune-finetune")
    assert scattered.compact is None


def test_what_a_method_returns_can_be_compacted(run: Run) -> None:
    init = run.init()
    norms = init.units.sum({name: w.square() for name, w in init.prunable.items()})
    net = run.train(init.masked(run.select(norms, units=init.units)))
    small, images = compact(net), torch.rand(8, *run.model.shape, generator=Generator().manual_seed(0))
    torch.testing.assert_close(small(images), net.module()(images))
    assert parameters(small) < parameters(net.module()) - net.mask.removed
    assert multiplications(run.model, net.mask.tensors)[0] < multiplications(run.model, {})[1]
    assert parameters(compact(init)) == parameters(init.module())


def test_pruned_units_stay_pruned_in_the_next_round(run: Run) -> None:
    net = run.init()
    for sparsity in (0.2, 0.4):
        scores = {name: s.masked_fill(net.units.gone(net.mask.tensors)[name], -torch.inf) for name, s in norms(net)}
        later = net.masked(run.select(scores, sparsity, units=net.units))
        assert later.mask.sparsity >= sparsity
        assert later.mask & net.mask == later.mask
        net = later


def norms(net):  # type: ignore[no-untyped-def]
    return net.units.sum({name: w.square() for name, w in net.prunable.items()}).items()


def test_early_bird_stops_when_the_channels_stay_the_same(run: Run) -> None:
    BASELINES["early-bird"].function(run, window=1, tolerance=1.0)
    assert context_of(run).notes["found_at"] == 2
    [distance] = context_of(run).notes["distances"]  # type: ignore[misc]
    nets = [run.train(run.init(), until=epoch, rule=Slimming()) for epoch in (1, 2)]
    masks = [
        run.select({n: g.abs() for n, g in net.units.param("gamma", net.params).items()}, units=net.units)
        for net in nets
    ]
    gone = [torch.cat([*nets[0].units.gone(mask.tensors).values()]) for mask in masks]
    assert distance == pytest.approx(float((gone[0] != gone[1]).float().mean()))
    assert [word for word in str(context_of(run).pipeline).split(" → ") if word.startswith("train")][-1] == "train 2"


def test_masks_by_weight_are_no_masks_by_unit(run: Run) -> None:
    net = run.init()
    whole = run.select(dict(norms(net)), units=net.units)
    scattered = run.select(magnitude(net))
    assert net.units.distance(whole, whole) == 0
    share = float(torch.cat([*net.units.gone(whole.tensors).values()]).float().mean())
    assert net.units.distance(whole, scattered) == pytest.approx(share)
