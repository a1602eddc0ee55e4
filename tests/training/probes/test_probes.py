"""Probes: what they measure equals the definition, computed here in one go over all examples."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.func import functional_call

from lthbench.errors import MethodError
from lthbench.models import FAMILIES, Model
from lthbench.pruning.allocate import keep_global
from lthbench.pruning.state import State, module_of
from lthbench.training.probes import (
    Activations,
    Batches,
    Gradients,
    HessianGradient,
    Iterated,
    Sensitivity,
    SynFlowScores,
)
from tests.helpers import FAMILY, SHAPE, begin, bits, conv, feed, masked, mlp, trajectory


@pytest.fixture(autouse=True)
def conv_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "conv", FAMILY)


def batches(size: int = 8) -> Iterator[tuple[Tensor, Tensor]]:
    data = feed()
    return (data.batch(index) for index in torch.arange(len(data)).split(size))


def pruned(model: Model) -> State:
    """A network half pruned, with running statistics that differ from those of any batch."""
    g = Generator().manual_seed(0)
    state = begin(trajectory(model))
    state = masked(state, {n: torch.rand(m.shape, generator=g) < 0.5 for n, m in state.mask.items()})
    for name, buffer in state.buffers.items():
        if name.endswith("running_mean"):
            buffer.fill_(0.3)
    return state


def measured(probe: Gradients, model: Model, size: int = 8) -> dict[str, Tensor]:
    state = pruned(model)
    return probe(module_of(model, state), state.mask, lambda: batches(size))


def by_hand(model: Model, sizes: int, train: bool, temperature: float = 1.0) -> dict[str, Tensor]:
    """One loss over all examples, one backward pass; batch-norm sees batches of `sizes`, dropout nothing."""
    module = module_of(model, pruned(model)).train(train)
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    logits = torch.cat([module(images) for images, _ in batches(sizes)]) / temperature
    F.cross_entropy(logits, feed().labels).backward()
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.allclose(found[n], expected[n], rtol=1e-4, atol=1e-6) for n in found
    )


@pytest.mark.parametrize("name", ["mlp", "conv-norm", "conv-dropout", "conv-norm-dropout"])
@pytest.mark.parametrize("train", [True, False])
def test_gradients_are_those_of_the_mean_loss_over_all_examples(name: str, train: bool) -> None:
    model = conv(name) if name.startswith("conv") else mlp()
    assert close(measured(Gradients(train_mode=train), model), by_hand(model, 8, train))


def test_training_mode_normalises_by_the_batch_and_evaluation_mode_does_not() -> None:
    train, evaluation = (measured(Gradients(train_mode=mode), conv("conv-norm")) for mode in (True, False))
    assert not close(train, evaluation)


def test_without_batch_norm_the_batches_do_not_matter() -> None:
    assert close(measured(Gradients(), mlp(), size=22), measured(Gradients(), mlp(), size=5))


def test_gradients_are_dense() -> None:
    state, found = pruned(mlp()), measured(Gradients(), mlp())
    assert found.keys() == state.params.keys()
    assert all(found[n][~m].ne(0).any() for n, m in state.mask.items())


@pytest.mark.parametrize("temperature", [0.5, 200.0])
def test_the_temperature_divides_the_logits(temperature: float) -> None:
    assert close(measured(Gradients(temperature=temperature), mlp()), by_hand(mlp(), 22, True, temperature))


def test_more_passes_are_counted_and_change_nothing_here() -> None:
    calls: list[int] = []
    state = pruned(mlp())

    def counted() -> Iterator[tuple[Tensor, Tensor]]:
        calls.append(1)
        return batches()

    found = Gradients(passes=3)(module_of(mlp(), state), state.mask, counted)
    assert len(calls) == 3
    assert close(found, measured(Gradients(), mlp()))


@pytest.mark.parametrize("train", [True, False])
def test_the_network_keeps_its_tensors(train: bool) -> None:
    model = conv("conv-norm-dropout")
    state = pruned(model)
    before = bits(state)
    Gradients(train_mode=train)(module_of(model, state), state.mask, batches)
    assert bits(state) == before


def test_evaluation_mode_leaves_the_statistics_of_its_module_too() -> None:
    model = conv("conv-norm")
    module = module_of(model, pruned(model))
    before = {name: t.clone() for name, t in module.named_buffers()}
    Gradients(train_mode=False)(module, {}, batches)
    assert all(torch.equal(t, before[name]) for name, t in module.named_buffers())


def test_dropout_draws_nothing() -> None:
    before = torch.get_rng_state()
    measured(Gradients(), conv("conv-dropout"))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_measured_carries_no_graph() -> None:
    assert not any(t.requires_grad for t in measured(Gradients(), mlp()).values())


def test_a_probe_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Gradients().passes = 2  # type: ignore[misc]


def batched(size: int = 8, passes: int = 1) -> Batches:
    """So many passes over the random examples."""
    return Batches(lambda: batches(size), SHAPE, passes)


def hessian(model: Model, temperature: float) -> tuple[Tensor, Tensor, list[str]]:
    """Gradient and Hessian of the mean loss by all parameters in a row, and their names."""
    module = module_of(model, pruned(model)).eval()
    names, params = zip(*module.named_parameters(), strict=True)
    sizes, shapes = [p.numel() for p in params], [p.shape for p in params]

    def loss(flat: Tensor) -> Tensor:
        parts = (part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True))
        logits = functional_call(module, dict(zip(names, parts, strict=True)), (feed().images,))
        return F.cross_entropy(logits / temperature, feed().labels)

    flat = torch.cat([p.detach().flatten() for p in params])
    return torch.func.grad(loss)(flat), torch.autograd.functional.hessian(loss, flat), list(names)


@pytest.mark.parametrize("temperature", [1.0, 200.0])
@pytest.mark.parametrize("size", [8, 22])
def test_hessian_times_gradient(temperature: float, size: int) -> None:
    state = pruned(mlp())
    found = HessianGradient(temperature)(module_of(mlp(), state), state.mask, batched(size, passes=2))
    gradient, matrix, names = hessian(mlp(), temperature)
    remains = torch.cat([state.mask.get(n, torch.ones_like(state.params[n])).flatten().float() for n in names])
    expected = matrix @ (gradient * remains)
    assert torch.allclose(torch.cat([found[n].flatten() for n in names]), expected, rtol=1e-3, atol=1e-6 / temperature)
    assert expected.abs().max() > 0


def test_hessian_times_gradient_goes_through_the_batch_statistics() -> None:
    """By central differences of the gradient along itself."""
    model, step = conv("conv-norm"), 1e-4
    state = replace(pruned(model), mask={})
    found = HessianGradient()(module_of(model, state), {}, batched(22, passes=2))
    gradient = Gradients()(module_of(model, state), {}, batched(22))

    def moved(sign: int) -> dict[str, Tensor]:
        params = {n: p + sign * step * gradient[n] for n, p in state.params.items()}
        return Gradients()(module_of(model, replace(state, params=params)).double(), {}, doubled())

    def doubled() -> Batches:
        return Batches(lambda: ((i.double(), y) for i, y in batches(22)), SHAPE, 1)

    expected = {n: (moved(1)[n] - moved(-1)[n]) / (2 * step) for n in found}
    for n, product in found.items():
        assert torch.allclose(product.double(), expected[n].double(), rtol=1e-2, atol=1e-3), n


def test_sensitivity_is_the_derivative_by_the_mask() -> None:
    """At c = mask, of the loss of the network with weights c w, for weights that the mask removes too."""
    model = mlp()
    whole, mask = begin(trajectory(model)), pruned(model).mask
    found = Sensitivity()(module_of(model, whole), mask, batched())
    c = {n: m.float().requires_grad_() for n, m in mask.items()}
    weights = {n: whole.params[n] * c[n] for n in mask}
    logits = functional_call(module_of(model, whole), weights, (feed().images,))
    slopes = torch.autograd.grad(F.cross_entropy(logits, feed().labels), list(c.values()))
    for (n, m), slope in zip(mask.items(), slopes, strict=True):
        assert torch.allclose(found[n], slope.abs(), rtol=1e-4, atol=1e-7)
        assert found[n][~m].gt(0).any()


class Linear(nn.Module):
    """Two linear layers without anything between them."""

    def __init__(self, name: str, shape: tuple[int, int, int], classes: int):
        super().__init__()
        self.hidden = nn.Linear(shape[0] * shape[1] * shape[2], 5, bias=False)
        self.out = nn.Linear(5, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.hidden(images.flatten(1)))


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setitem(FAMILIES, "linear", (r"linear", lambda name, shape, classes, _: Linear(name, shape, classes)))
    return mlp("linear", dense=())


def closed_form(hidden: Tensor, out: Tensor) -> dict[str, Tensor]:
    """|w| times the sum of all paths through it: from the ones at the input, to the sum of the outputs."""
    hidden, out = hidden.abs().double(), out.abs().double()
    return {"hidden.weight": hidden * out.sum(0)[:, None], "out.weight": out * hidden.sum(1)[None, :]}


def test_synaptic_flow_of_a_linear_network_in_closed_form(linear: Model) -> None:
    state = pruned(linear)
    found = SynFlowScores()(module_of(linear, state), state.mask, batched(passes=0))
    expected = closed_form(state.params["hidden.weight"], state.params["out.weight"])
    assert all(torch.allclose(found[n], t) for n, t in expected.items())
    assert all(found[n][~m].eq(0).all() and found[n].dtype == torch.float64 for n, m in state.mask.items())


def test_synaptic_flow_is_conserved_from_layer_to_layer(linear: Model) -> None:
    """Theorem 1 of Tanaka et al.: the scores of what enters a neuron and of what leaves it add up to the same."""
    state = pruned(linear)
    found = SynFlowScores()(module_of(linear, state), state.mask, batched(passes=0))
    assert torch.allclose(found["hidden.weight"].sum(1), found["out.weight"].sum(0))


def test_synaptic_flow_does_not_overflow_where_float32_would(linear: Model) -> None:
    state = pruned(linear)
    huge = replace(state, params={n: w * 1e30 for n, w in state.params.items()})
    found = SynFlowScores()(module_of(linear, huge), state.mask, batched(passes=0))
    expected = closed_form(huge.params["hidden.weight"], huge.params["out.weight"])
    assert all(t.isfinite().all() and torch.allclose(t, expected[n]) for n, t in found.items())


def test_synaptic_flow_uses_running_statistics_and_the_shape_of_the_images() -> None:
    model = conv("conv-norm")
    state = pruned(model)
    module = module_of(model, state).eval()
    for p in module.parameters():
        p.data.abs_()
    total = module(torch.ones(1, *SHAPE)).sum()
    weight = module.get_parameter("conv.weight")
    expected = torch.autograd.grad(total, weight)[0] * weight
    found = SynFlowScores()(module_of(model, state), state.mask, batched(passes=0))["conv.weight"]
    assert torch.allclose(found.float(), expected, rtol=1e-4, atol=1e-6)


def by_rounds(model: Model, rounds: int, sparsity: float, revive: bool) -> dict[str, Tensor]:
    """FORCE and iterative SNIP as their papers write them down, with the mask of the last round as the result."""
    dense = begin(trajectory(model))
    mask = dense.mask
    for k in range(1, rounds + 1):
        state = masked(dense, mask)
        gradient = Gradients()(module_of(model, state), mask, batched())
        weights = dense.params if revive else state.params
        scores = torch.cat([(gradient[n] * weights[n]).abs().flatten() for n in mask])
        keep = round((1 - sparsity) ** (k / rounds) * len(scores) - 1e-9)
        flat = torch.zeros(len(scores), dtype=torch.bool)
        flat[scores.topk(keep).indices] = True
        parts = flat.split([m.numel() for m in mask.values()])
        mask = {n: part.view_as(m) for (n, m), part in zip(mask.items(), parts, strict=True)}
    return mask


@pytest.mark.parametrize("revive", [False, True])
def test_iterated_sensitivity_is_force_and_iterative_snip(revive: bool) -> None:
    model, probe = mlp("mlp-12"), Iterated(Sensitivity(), 6, 0.8, "global", revive)
    state = begin(trajectory(model))
    scores = probe(module_of(model, state), state.mask, batched(passes=probe.passes))
    found = keep_global(scores, 0.8)
    expected = by_rounds(model, 6, 0.8, revive)
    assert all(torch.equal(found[n], m) for n, m in expected.items())
    other = by_rounds(model, 6, 0.8, not revive)
    assert any(not torch.equal(found[n], m) for n, m in other.items()), "the two coincide here: nothing is tested"


def test_one_round_is_the_probe_itself() -> None:
    model = mlp()
    state = begin(trajectory(model))
    once = Iterated(Sensitivity(), 1, 0.5, "global")(module_of(model, state), state.mask, batched())
    plain = Sensitivity()(module_of(model, state), state.mask, batched())
    assert all(torch.equal(once[n], t) for n, t in plain.items())


def test_iterated_synaptic_flow_collapses_no_layer(linear: Model) -> None:
    """Tanaka et al.: with many rounds the smallest layer keeps a weight as long as there is one for each."""
    state = begin(trajectory(linear))
    sparsity = 1 - 5 / linear.prunable_count
    probe = Iterated(SynFlowScores(), 100, sparsity, "global")
    keep = keep_global(probe(module_of(linear, state), state.mask, batched(passes=0)), sparsity)
    assert sum(int(m.sum()) for m in keep.values()) == 5
    assert all(m.any() for m in keep.values())


def test_iterations_are_paid_for() -> None:
    assert Iterated(Sensitivity(), 30, 0.5, "global").passes == 30
    assert Iterated(HessianGradient(), 30, 0.5, "global").passes == 60
    assert Iterated(SynFlowScores(), 30, 0.5, "global").passes == 0


def test_a_pass_that_was_not_paid_for_is_refused() -> None:
    model = mlp()
    state = begin(trajectory(model))
    with pytest.raises(MethodError, match="passes = 1 asked for pass 2"):
        HessianGradient()(module_of(model, state), state.mask, batched(passes=1))


def test_activations_are_statistics_of_every_example() -> None:
    state = pruned(mlp())
    found = Activations("hidden")(module_of(mlp(), state), state.mask, batched())
    weight, bias = state.params["hidden.0.weight"], state.params["hidden.0.bias"]
    h = F.relu(feed().images.flatten(1) @ weight.T + bias).double()
    assert torch.allclose(found["mean"], h.mean(0), atol=1e-6)
    assert torch.allclose(found["square"], h.square().mean(0), atol=1e-6)
    assert torch.allclose(found["positive"], (h > 0).double().mean(0))


def test_activations_are_of_evaluation_mode() -> None:
    model = conv("conv-norm-dropout")
    found = [Activations("norm")(module_of(model, pruned(model)), {}, batched(size))["mean"] for size in (8, 22)]
    assert torch.allclose(*found, atol=1e-6)


def test_activations_of_an_unknown_layer_have_a_suggestion() -> None:
    with pytest.raises(MethodError, match=r"no layer 'hiden'\. Did you mean 'hidden'"):
        Activations("hiden")(module_of(mlp(), pruned(mlp())), {}, batched())
