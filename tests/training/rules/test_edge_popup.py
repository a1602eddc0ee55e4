"""Edge-popup: weights stay, scores follow the straight-through gradient, the count is exact."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lthbench import EdgePopup, NeuronPopup
from lthbench.models.model import FAMILIES
from lthbench.pruning.state import initial_state, module_of
from lthbench.training.rules import Rule
from lthbench.training.trainer import Trainer
from tests.helpers import FAMILY, begin, bits, conv, feed, mlp, states, trained, trajectory

RULES = [EdgePopup(0.7), NeuronPopup(0.5), EdgePopup(0.4, scaled=False)]


@pytest.fixture(autouse=True)
def _family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "tests", FAMILY)


@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_trained_but_the_mask(rule: EdgePopup) -> None:
    t = trajectory(conv("conv-norm"), rule=rule)
    start, end = begin(t), trained(t)
    scale = (1 - rule.sparsity) ** -0.5 if rule.scaled else 1.0
    for name, value in end.params.items():
        wanted = start.params[name]
        assert torch.equal(value, wanted * scale * end.mask[name] if name in end.mask else wanted)
    moved = [name for name, t in end.rule.items() if name.startswith("score/")]
    first = states(t, [1])[1].rule
    assert moved and all(not torch.equal(first[name], end.rule[name]) for name in moved)


@pytest.mark.parametrize("sparsity", [0.0, 0.31, 0.5, 0.9])
def test_every_layer_keeps_its_exact_share(sparsity: float) -> None:
    mask = trained(trajectory(mlp("mlp-7-5"), rule=EdgePopup(sparsity))).mask
    removed = [int((~m).sum()) for m in mask.values()]
    assert sum(removed) == int(sparsity * sum(m.numel() for m in mask.values()) + 0.5)
    assert all(abs(gone - sparsity * m.numel()) < 1 for gone, m in zip(removed, mask.values(), strict=True))


def test_what_is_kept_has_the_highest_absolute_scores() -> None:
    state = trained(trajectory(mlp("mlp-7-5"), rule=EdgePopup(0.6)))
    for name, mask in state.mask.items():
        scores = state.rule[f"score/{name}"].abs()
        assert scores[mask].min() >= scores[~mask].max()


def test_neurons_go_whole_and_no_more_than_needed() -> None:
    t = trajectory(mlp("mlp-8-8"), rule=NeuronPopup(0.5))
    mask = trained(t).mask
    first, second, out = mask.values()
    alive = [first.any(1), second.any(1)]
    assert torch.equal(first, alive[0][:, None].expand_as(first))
    assert torch.equal(second, alive[1][:, None] & alive[0])
    assert torch.equal(out, alive[1].expand_as(out))
    kept = [int(a.sum()) for a in alive]
    weights = lambda a, b: 16 * a + a * b + 3 * b  # noqa: E731
    half = weights(8, 8) / 2
    assert kept[0] == kept[1] and weights(*kept) <= half < weights(kept[0] + 1, kept[1] + 1)


@pytest.mark.parametrize("kind", [EdgePopup, NeuronPopup])
def test_a_step_follows_the_straight_through_gradient(kind: type[EdgePopup]) -> None:
    """∂L/∂score = ∂L/∂(weight as used) · frozen weight · sign(score), summed over the weights of a score."""
    t = trajectory(mlp("mlp-6"), rule=kind(0.5), epochs=1, weight_decay=0.0, momentum=0.0)
    data = feed(t.clock.size)
    trainer = Trainer(t, begin(t), 0, data)
    before = {name: s.detach().clone() for name, s in trainer.rule.trained(trainer.current).items()}
    frozen = {n[7:]: w for n, w in trainer.current.state.items() if n.startswith("frozen/")}
    module, index = module_of(t.model, begin(t)), torch.arange(8)
    used: dict[str, Tensor] = {n: w.detach().requires_grad_() for n, w in trainer.rule.weights(trainer.current).items()}
    images, labels = data.batch(index)
    loss = cross_entropy(functional_call(module, used, (images,)), labels)
    grads = dict(zip(frozen, torch.autograd.grad(loss, [used[n] for n in frozen]), strict=True))
    trainer.step(images, labels, trainer.rates[0])
    after, rate = trainer.rule.trained(trainer.current), float(trainer.rates[0])
    for name, score in before.items():
        edge = name.removeprefix("score/")
        wanted = (
            grads[edge] * frozen[edge]
            if edge in frozen
            else (grads[f"{edge}.weight"] * frozen[f"{edge}.weight"]).sum(1)
        )
        torch.testing.assert_close(after[name], score - rate * wanted * score.sign(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rule", RULES[:2])
def test_two_halves_are_one_whole(rule: Rule) -> None:
    t = trajectory(conv("conv-norm"), rule=rule)
    whole = states(t, [9])[9]
    half = states(t, [4])[4]
    assert half.raw is not None
    assert bits(states(t, [9], half.raw, at=4)[9]) == bits(whole)


def test_scores_start_within_the_bound_of_their_layer() -> None:
    t = trajectory(mlp("mlp-6"), rule=EdgePopup(0.5))
    current = Trainer(t, initial_state(t.start.root), 0, feed()).current
    for name, fan_in in (("hidden.0.weight", 16), ("out.weight", 6)):
        scores = current.state[f"score/{name}"]
        assert 0.8 * fan_in**-0.5 < scores.abs().max() <= fan_in**-0.5
