"""Batch-norm, sum and activation in kernels of our own, against torch's operations, through Triton's interpreter."""

import copy

import pytest
import torch
from torch import Tensor, nn

from lthbench.models import Model
from lthbench.models.norm_act import ACTIVATIONS, NormAct, computed_by, norm_act, one_by_one

kernels = pytest.importorskip("lthbench.training.kernels.norm_act", reason="Triton is needed")

FAMILIES = ("resnet20", "vgg16", "mobilenet-v1", "mobilenet-v2")
PARTS = ("out", "maps", "shortcut", "weight", "bias", "running_mean", "running_var", "num_batches_tracked")
Case = tuple[tuple[int, ...], bool, str]


def cases() -> list[Case]:
    """The different layers of the families on two images of 32x32: shape of the maps, shortcut, activation."""
    found: set[Case] = set()

    def seen(bn: nn.Module, maps: Tensor, shortcut: Tensor | None, activation: str) -> Tensor:
        found.add((tuple(maps.shape), shortcut is not None, activation))
        return one_by_one(bn, maps, shortcut, activation)

    for name in FAMILIES:
        with computed_by(seen), torch.no_grad():
            Model(name, (3, 32, 32), 10, "all").module().train()(torch.zeros(2, 3, 32, 32, device="meta"))
    return sorted(found)


def random(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g).to(dtype).contiguous(memory_format=torch.channels_last)


def layer(channels: int) -> nn.BatchNorm2d:
    bn = nn.BatchNorm2d(channels)
    with torch.no_grad():
        bn.weight.copy_(torch.linspace(-4, 5, channels) if channels > 1 else torch.ones(1))
        bn.bias.copy_(torch.linspace(1, -1, channels))
    return bn


def computed(by: NormAct, case: Case, dtype: torch.dtype, wide: bool = False) -> dict[str, Tensor]:
    """What a layer gives forward and backward, with the same inputs every time; `wide` computes in double precision."""
    shape, adds, activation = case
    maps, grad, beside = 3 * random(shape, dtype, 0) + 7, random(shape, dtype, 1), random(shape, dtype, 2)
    bn = layer(shape[1])
    if wide:
        maps, grad, beside, bn = maps.double(), grad.double(), beside.double(), bn.double()
    maps.requires_grad_()
    shortcut = beside.requires_grad_() if adds else None
    out = by(bn, maps, shortcut, activation)
    out.backward(grad)
    grads = {"maps": maps.grad, "shortcut": beside.grad, "weight": bn.weight.grad, "bias": bn.bias.grad}
    return {"out": out.detach(), **{n: t for n, t in grads.items() if t is not None}, **dict(bn.named_buffers())}


def difference(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).abs().max() / other.double().abs().max().clamp(min=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("case", cases(), ids=str)
def test_both_programs_agree_on_every_layer_of_the_families(case: Case, dtype: torch.dtype) -> None:
    """Against double precision, no value is further away than a rounding. The interpreter cuts bf16 off: a whole digit."""
    ours, exact = computed(kernels.norm_act, case, dtype), computed(one_by_one, case, dtype, wide=True)
    assert ours.keys() == exact.keys() <= set(PARTS)
    assert ours["out"].dtype == ours["maps"].dtype == dtype
    for name, t in ours.items():
        assert difference(t, exact[name]) < (2e-5 if t.dtype == torch.float32 else 2**-7), name


@pytest.mark.parametrize("shape", [(3, 5, 7, 7), (2, 1, 2, 2), (1, 3, 3, 1), (9, 130, 2, 3)], ids=str)
@pytest.mark.parametrize("activation", ["", *ACTIVATIONS])
def test_odd_sizes_agree_too(shape: tuple[int, ...], activation: str) -> None:
    ours, exact = (computed(by, (shape, False, activation), torch.float32) for by in (kernels.norm_act, one_by_one))
    assert all(difference(ours[name], exact[name]) < 2e-5 for name in exact)


def test_a_large_mean_does_not_cancel_the_variance() -> None:
    maps = 1e4 + random((4, 8, 6, 6), torch.float32, 0)
    ours, exact = nn.BatchNorm2d(8), nn.BatchNorm2d(8).double()
    out, expected = kernels.norm_act(ours, maps, None, "relu"), one_by_one(exact, maps.double(), None, "relu")
    assert difference(out.detach(), expected.detach()) < 2e-3  # of fp32 there are three digits left
    assert difference(ours.running_var, exact.running_var) < 2e-3


@pytest.mark.filterwarnings("ignore:invalid value")  # of NumPy, in the interpreter
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("adds", "activation"), [(False, ""), (False, "relu"), (False, "relu6"), (True, "relu")])
def test_what_is_not_finite_is_shown_as_by_torch(adds: bool, activation: str, bad: float) -> None:
    """An activation of what is not a number is not 0, so that a training that diverged is seen."""
    found = []
    for by in (kernels.norm_act, one_by_one):
        maps, beside, grad = (random((3, 2, 4, 4), torch.float32, seed) for seed in range(3))
        bn, maps[1, 0, 2, 2] = layer(2), bad  # in the first of two channels
        given = [maps.requires_grad_(), bn.weight, *([bn.bias] if activation != "relu6" else [])]  # a CPU's own way
        out = by(bn, maps, beside if adds else None, activation)
        found.append([out.detach(), *torch.autograd.grad(out, given, grad), bn.running_mean, bn.running_var])
    for ours, exact in zip(*found, strict=True):
        finite = exact.isfinite()
        assert torch.equal(ours.isfinite(), finite) and difference(ours[finite], exact[finite]) < 2e-5
    assert found[0][0][:, 0].isnan().all() and found[0][0][:, 1].isfinite().all()


def test_the_same_step_twice_gives_the_same_bits() -> None:
    case = ((8, 16, 16, 16), True, "relu")
    one, other = (computed(kernels.norm_act, case, torch.float32) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_second_derivative_is_that_of_torch() -> None:
    found = []
    for by in (kernels.norm_act, one_by_one):
        maps, bn = random((2, 4, 3, 3), torch.float32, 0).requires_grad_(), layer(4)
        out = by(bn, maps, maps.sin(), "relu")
        first = torch.autograd.grad(out.square().sum(), [maps, bn.weight], create_graph=True)
        found.append(torch.autograd.grad(sum(t.square().sum() for t in first), [maps, bn.bias]))
    assert all(difference(one, other) < 1e-4 for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("what", ["hook", "no momentum", "one value", "types", "no weights"])
def test_what_the_kernels_are_not_made_for_is_left_to_torch(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "NormAct", None)
    bn, maps = nn.BatchNorm2d(4, affine=what != "no weights"), random((2, 4, 3, 3), torch.float32, 0)
    shortcut = maps.double() if what == "types" else None
    seen = []
    if what == "hook":
        bn.register_forward_hook(lambda *_: seen.append("hook"))
    if what == "no momentum":
        bn.momentum = None
    if what == "one value":
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            kernels.norm_act(bn, maps[:1, :, :1, :1], None, "")
        return
    other = copy.deepcopy(bn)
    assert torch.equal(kernels.norm_act(bn, maps, shortcut, "relu"), one_by_one(other, maps, shortcut, "relu"))
    assert bool(seen) == (what == "hook")


def test_a_program_holds_in_its_context_for_training_alone() -> None:
    bn, maps = nn.BatchNorm2d(2), torch.ones(2, 2, 2, 2)

    def ours(*_: object) -> Tensor:
        return torch.zeros(())

    with computed_by(ours):
        assert norm_act(bn, maps).ndim == 0
        assert norm_act(bn.eval(), maps).ndim == 4
    assert norm_act(bn.train(), maps).ndim == 4
