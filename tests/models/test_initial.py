"""The scheme "library", and what the other schemes take from it."""

import pytest
import torch

from lthbench.errors import InputError
from lthbench.models import INITIALISATIONS, Model, initial_tensors
from lthbench.pruning.tensors import digest
from tests.models.zoo import DIGITS, leaves_generators_alone, model

VIT, SWIN = "timm:test_vit", "timm:swin_tiny_patch4_window7_224"


@pytest.mark.parametrize("name", ["mlp-30", "resnet14", "vgg11-w0.25", VIT])
def test_it_is_a_function_of_seed_and_stream(name: str) -> None:
    m = model(name)

    def drawn(seed: int, stream: int) -> str:
        torch.manual_seed(seed + stream)  # no matter where the global generator stands
        return digest(initial_tensors(m, "library", seed, stream))

    assert drawn(1, 2) == drawn(1, 2)
    assert len({drawn(1, 2), drawn(2, 1), drawn(1, 1), drawn(2, 2)}) == 4


@pytest.mark.parametrize("scheme", INITIALISATIONS)
@pytest.mark.parametrize("name", ["resnet14", VIT])
def test_all_tensors_are_there_in_their_own_type(name: str, scheme: str) -> None:
    m = model(name)
    tensors, module = initial_tensors(m, scheme, 1, 0), m.module()
    wanted = dict(module.named_parameters()) | dict(module.named_buffers())
    assert {n: (t.shape, t.dtype) for n, t in tensors.items()} == {n: (t.shape, t.dtype) for n, t in wanted.items()}
    assert not any(t.requires_grad or t.is_meta for t in tensors.values())


@pytest.mark.parametrize("scheme", ["library", "kaiming-normal"])
def test_nothing_global_is_touched(scheme: str) -> None:
    assert leaves_generators_alone(lambda: initial_tensors(model(VIT), scheme, 1, 0))


def test_the_default_dtype_comes_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Model, device: str) -> None:
        assert torch.get_default_dtype() == torch.float64
        raise KeyboardInterrupt

    m = model("mlp-30")
    module = m.module()
    monkeypatch.setattr(Model, "build", fail)
    monkeypatch.setattr(Model, "module", lambda self: module)
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        initial_tensors(m, "library", 1, 0)
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_the_layers_own_drawn_in_double_precision() -> None:
    weight = initial_tensors(Model("mlp-400", DIGITS, 10, "all"), "library", 3, 0)["hidden.0.weight"]
    bound = 1 / 64**0.5  # torch.nn.Linear: U(-b, b) with b = 1 / sqrt(fan_in)
    assert 0.99 * bound < weight.abs().max() <= bound * (1 + 1e-6)
    grid = weight.double() * 2**24 / (2 * bound)  # a float32 draw has 24 random bits, a float64 draw more
    assert (grid - grid.round()).abs().max() > 0.1


def test_schemes_fall_back_on_it_for_what_they_do_not_know() -> None:
    m = model(VIT)
    own, drawn = initial_tensors(m, "library", 1, 0), initial_tensors(m, "kaiming-normal", 1, 0)
    for name in ("cls_token", "pos_embed"):
        assert torch.equal(own[name], drawn[name]) and drawn[name].abs().sum() > 0
    assert not torch.equal(own["blocks.0.attn.qkv.weight"], drawn["blocks.0.attn.qkv.weight"])
    assert drawn["blocks.0.attn.qkv.weight"].var() == pytest.approx(2 / 64, rel=0.05)
    assert drawn["blocks.0.norm1.weight"].eq(1).all() and drawn["head.bias"].eq(0).all()


def test_buffers_that_are_no_statistics_are_the_librarys() -> None:
    name = "layers.0.blocks.0.attn.relative_position_index"
    index = initial_tensors(model(SWIN, (3, 64, 64)), "kaiming-normal", 1, 0)[name]
    assert index.dtype == torch.int64 and index.unique().numel() == 13 * 13


def test_normalisations_start_as_the_identity() -> None:
    drawn = initial_tensors(model("timm:resnet10t"), "kaiming-normal", 1, 0)  # its own last gains are 0
    assert all(t.eq(1).all() for n, t in drawn.items() if ".bn" in n and n.endswith(("weight", "running_var")))
    own = initial_tensors(model("timm:resnet10t"), "library", 1, 0)
    assert own["layer1.0.bn2.weight"].eq(0).all()


def test_an_unknown_initialisation_has_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'library'\?"):
        initial_tensors(model("mlp-30"), "libary", 1, 0)
