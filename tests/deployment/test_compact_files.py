"""Files of networks that lost channels are smaller, and compute the same."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lthbench.deployment.export import export, load_compact, onnx_bytes
from lthbench.deployment.latency import _sparse, latency, semi_structured
from lthbench.methods.compact import compact
from lthbench.models import Model
from lthbench.pruning.mask import Mask
from lthbench.submission.bundle.ticket import Ticket
from tests.methods.test_compact import FAMILIES, network, pruned


def ticket(m: Model, share: float = 0.5) -> Ticket:
    """Return a ticket that has lost a share of its channels, and whose weights are drawn."""
    mask = pruned(m, share)
    return Ticket(m, mask, {}, network(m, mask).state_dict(), {})


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_safetensors_hold_what_stays(name: str, tmp_path: Path) -> None:
    one = ticket(FAMILIES[name])
    images = torch.randn(3, *one.model.shape)
    path = export(one, "safetensors", tmp_path / "small.safetensors")
    expected = one.module()(images)
    assert (load_compact(path)(images) - expected).abs().max() < 1e-4 * expected.abs().max()
    assert sum(t.numel() for t in load_file(path).values()) < sum(t.numel() for t in one.module().state_dict().values())


@pytest.mark.parametrize("name", ["resnet", "mobilenet-v2", "transformer"])
@torch.no_grad()
def test_onnx_holds_what_stays(name: str) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    one = ticket(FAMILIES[name])
    images, content = torch.randn(3, *one.model.shape), onnx_bytes(compact(one), one.model.shape)
    [logits] = runtime.InferenceSession(content).run(None, {"images": images.numpy()})
    np.testing.assert_allclose(logits, one.module()(images).numpy(), rtol=1e-3, atol=1e-4)
    held = sum(np.prod(t.dims) for t in onnx.load_from_string(content).graph.initializer)
    assert held < 1.05 * sum(p.numel() for p in compact(one).state_dict().values()) + 1000


def test_latency_has_a_row_for_every_form_and_the_dense_one_is_its_own_measure() -> None:
    rows = latency(ticket(FAMILIES["mlp"]), rounds=4)
    forms = {(r.runtime, r.threads, r.batch): [] for r in rows}
    for row in rows:
        forms[row.runtime, row.threads, row.batch].append(row.form)
        assert 0 < row.low <= row.median <= row.high
        assert row.speed_up == 1 or row.form != "dense"
    assert all(names == ["dense", "masked", "compact"] for names in forms.values())
    dense, masked, small = rows[:3]
    assert dense.parameters == masked.parameters > small.parameters
    assert dense.size == masked.size > small.size


def test_layers_for_2_4_kernels_are_those_with_the_pattern_and_the_sizes() -> None:
    module = nn.Sequential(nn.Linear(64, 32), nn.Linear(64, 32), nn.Linear(30, 32), nn.Conv2d(64, 32, 1))
    for layer in (module[0], module[2]):
        layer.weight.data.view(-1, 2)[:, 0] = 0
    assert semi_structured(module) == [module[0]]


def test_the_2_4_kernels_of_torch_come_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says once in a process that they are a prototype, and a test run takes warnings for errors."""
    packed: list[torch.Tensor] = []

    def on_a_gpu(weight: torch.Tensor) -> torch.Tensor:
        packed.append(weight)
        warnings.warn("The PyTorch API of SparseSemiStructuredTensor is in prototype stage", UserWarning, stacklevel=2)
        return weight

    monkeypatch.setattr(torch.sparse, "to_sparse_semi_structured", on_a_gpu)
    monkeypatch.setattr(nn.Module, "to", lambda module, *_: module)
    module = nn.Sequential(nn.Linear(64, 32))
    module[0].weight.data.view(-1, 2)[:, 0] = 0
    _sparse(module)
    assert len(packed) == 1


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_latency_on_a_gpu() -> None:
    m = Model("mlp-64-64", (1, 8, 8), 10, "all")
    shapes = m.prunable_shapes
    mask = Mask({name: torch.arange(shape.numel()).view(shape) % 2 == 0 for name, shape in shapes.items()})
    rows = latency(Ticket(m, mask, {}, network(m, mask).state_dict(), {}), 4, torch.device("cuda"))
    assert {(row.runtime, row.form) for row in rows if row.form == "2:4"} == {("torch-cuda-fp16", "2:4")}
