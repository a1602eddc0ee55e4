"""Random features: only the last layer is trained, and as many weights remain as in edge-popup over neurons."""

import sys

import pytest
import torch

from lthbench.methods import registry
from lthbench.models import Model
from lthbench.models.model import FAMILIES
from lthbench.pruning.structured import select_units
from lthbench.pruning.units import Units
from lthbench.training.rules import Rule
from lthbench.training.rules.edge_popup import _fewest
from tests.helpers import FAMILY, SHAPE, begin, conv, mlp, trained, trajectory


def last_layer() -> Rule:
    module = sys.modules[registry.load(registry.FOLDER / "random_features.py")]
    return module.LastLayer()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["mlp-7-5", "conv-norm"])
def test_nothing_is_trained_but_the_last_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "tests", FAMILY)
    t = trajectory(conv(name) if "conv" in name else mlp(name), rule=last_layer())
    start, end = begin(t), trained(t)
    moved = {name for name, value in end.params.items() if not torch.equal(value, start.params[name])}
    assert moved == {"out.weight", "out.bias"}


@pytest.mark.parametrize("width", [32, 64, 128])
@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.7, 0.9])
def test_as_many_neurons_go_as_in_edge_popup(width: int, sparsity: float) -> None:
    model = Model(f"mlp-{width}", SHAPE, 10, ("*.weight",), ("*.bias",))
    units, g = Units.of(model), torch.Generator().manual_seed(0)
    drawn = {name: torch.rand(size, generator=g) for name, size in units.sizes.items()}
    gone = units.gone(select_units(drawn, sparsity, "uniform", units, model.prunable_shapes).tensors)
    assert {name: int(gone[name].sum()) for name in gone} == _fewest(model, sparsity)
