"""Probes: what they measure equals the definition, computed here in one go over all examples."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pytest
import torch
import torch.nn.functional as F
from helpers import FAMILY, begin, bits, conv, feed, masked, mlp, trajectory
from torch import Generator, Tensor, nn

from lthbench.models import FAMILIES, Model
from lthbench.pruning.state import State, module_of
from lthbench.training.probes import Gradients


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
