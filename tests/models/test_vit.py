"""The small vision transformer: its size, its attention against torch's, and its place under every pass."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lthbench.models import Model
from lthbench.models.cost import multiplications
from lthbench.models.vit import Attention
from lthbench.training.metering.meter import metered
from lthbench.training.numerics import precision
from tests.models.zoo import DIGITS, feed, model, trained

CPU = torch.device("cpu")


def test_the_parameters_are_those_of_the_paper_without_a_class_token() -> None:
    timm = model("timm:vit_tiny_patch16_224", (3, 224, 224))
    own = Model("vit-192-12-16", (3, 224, 224), 10, "all")
    assert len(own.shapes) == len(timm.shapes) - 1
    assert own.prunable_count == timm.prunable_count
    token = 192 * 2  # its embedding and its position
    assert sum(s.numel() for s in own.shapes.values()) == sum(s.numel() for s in timm.shapes.values()) - token


def test_attention_is_torchs() -> None:
    torch.manual_seed(0)
    own, theirs = Attention(64, 2), nn.MultiheadAttention(64, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(own.qkv.weight)
        theirs.in_proj_bias.copy_(own.qkv.bias)
        theirs.out_proj.load_state_dict(own.out.state_dict())
    tokens = torch.randn(3, 5, 64)
    assert torch.allclose(own(tokens), theirs(tokens, tokens, tokens)[0], atol=1e-6)


def test_half_the_width_halves_every_head() -> None:
    half = model("vit-64-3-2-w0.5", DIGITS)
    assert half.shapes["blocks.0.attention.qkv.weight"] == (96, 32)
    assert half.module().blocks[0].attention.heads == 2
    assert model("vit-64-3-2", DIGITS).narrowed(0.1).prunable_count <= 0.1 * model("vit-64-3-2", DIGITS).prunable_count


def test_two_trainings_have_the_same_bits() -> None:
    m = model("vit-64-2-2", DIGITS)
    one, other = trained(m)[1], trained(m)[1]
    assert all(t.equal(other.params[name]) for name, t in one.params.items())


@pytest.mark.parametrize("name", ["vit-64-2-2", "timm:test_vit"])
def test_every_product_is_counted_and_has_a_second_derivative(name: str) -> None:
    m = model(name, (3, 32, 32))
    module, (images, labels) = m.build("cpu"), feed(m).batch(torch.arange(4))
    with precision("fp32", CPU), metered() as meter:
        loss = F.cross_entropy(module(images), labels)
        forward = meter.flops
        grads = torch.autograd.grad(loss, list(module.parameters()), create_graph=True)
        sum(g.square().sum() for g in grads).backward()
    assert meter.seen == 4
    assert forward > 4 * 2 * multiplications(m, {})[1]  # the products of activations with each other come on top


def test_torchs_own_attention_is_counted_too() -> None:
    layer, tokens = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True).eval(), torch.randn(2, 7, 32)
    with torch.no_grad(), precision("fp32", CPU), metered() as meter:
        layer(tokens)
    weights = 4 * 32 * 32 + 2 * 32 * 64
    assert meter.flops == 2 * 2 * (7 * weights + 2 * 7 * 7 * 32)


def test_the_process_has_its_own_kernels_back() -> None:
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled()
    with precision("fp32", CPU):
        assert not torch.backends.cuda.flash_sdp_enabled() and not torch.backends.mha.get_fastpath_enabled()
    assert (torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled()) == before
