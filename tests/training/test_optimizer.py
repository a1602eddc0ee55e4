"""Optimizers: they move parameters as those of torch.optim do, and leave what is removed at +0.0."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lthbench.errors import InputError
from lthbench.training.optimizer import OPTIMIZERS, optimizer
from lthbench.training.recipe import Recipe
from tests.helpers import begin, masked, states, trajectory
from tests.training.test_trainer import half_mask

STEPS = 60
CASES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "nesterov": {"nesterov": True, "momentum": 0.8},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
    "adam without eps": {"optimizer": "adam", "lr": 0.01, "eps": 0},
    "adam, other betas": {"optimizer": "adam", "lr": 0.01, "betas": (0.3, 0.6), "eps": 1e-3},
    "sgd, clipped": {"clip_norm": 0.2},
    "adamw, clipped": {"optimizer": "adamw", "lr": 0.01, "clip_norm": 0.2},
    "sgd, weights decay": {"decay": "weights", "weight_decay": 0.05},
    "adam, weights decay": {"optimizer": "adam", "lr": 0.01, "decay": "weights", "weight_decay": 0.05},
    "adamw, weights decay": {"optimizer": "adamw", "lr": 0.01, "decay": "weights", "weight_decay": 0.5},
}


def recipe(**changes: Any) -> Recipe:
    return Recipe(**({"epochs": 1, "batch": 8, "lr": 0.1, "weight_decay": 0.01} | changes))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3))


def normed() -> nn.Module:
    """A network with batch-norm. The layer before it has no bias, whose gradient would be rounding errors only."""
    return nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3))


def torchs(r: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer of torch.optim that a recipe asks for, with a group for what does not decay."""
    free = [p for p in parameters if r.decay == "weights" and p.dim() == 1]
    groups = [
        {"params": [p for p in parameters if all(p is not other for other in free)], "weight_decay": r.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    if r.optimizer == "sgd":
        return torch.optim.SGD(groups, r.lr, momentum=r.momentum, nesterov=r.nesterov)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[r.optimizer]
    return kind(groups, r.lr, betas=r.betas, eps=r.eps)


def batches(dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(0)
    return [
        (torch.randn(8, 1, 4, 4, generator=g, dtype=dtype), torch.randint(0, 3, (8,), generator=g))
        for _ in range(STEPS)
    ]


def by_torch(r: Recipe, module: nn.Module, dtype: torch.dtype) -> None:
    its = torchs(r, list(module.parameters()))
    for images, labels in batches(dtype):
        its.zero_grad()
        F.cross_entropy(module(images), labels).backward()
        if r.clip_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), r.clip_norm)
        its.step()


def by_ours(r: Recipe, module: nn.Module, dtype: torch.dtype) -> None:
    ours, params, rate = optimizer(r), dict(module.named_parameters()), torch.tensor(r.lr, dtype=dtype)
    state = ours.begin(params, {})
    for images, labels in batches(dtype):
        grads = torch.autograd.grad(F.cross_entropy(module(images), labels), list(params.values()))
        with torch.no_grad():
            ours.update(params, grads, state, {}, rate)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("build", [perceptron, normed])
@pytest.mark.parametrize("name", CASES)
def test_sixty_steps_are_those_of_torch(
    name: str, build: Callable[[], nn.Module], dtype: torch.dtype, most: float
) -> None:
    torch.manual_seed(0)
    one = build().to(dtype)
    other = build().to(dtype)
    other.load_state_dict(one.state_dict())
    before = [p.detach().clone() for p in one.parameters()]
    by_torch(recipe(**CASES[name]), one, dtype)
    by_ours(recipe(**CASES[name]), other, dtype)
    for a, b, start in zip(one.parameters(), other.parameters(), before, strict=True):
        assert not torch.equal(a, start)
        assert ((a - b).abs().max() / a.abs().max()).item() < most


def is_plus_zero(tensor: Tensor) -> bool:
    return bool((tensor == 0).all()) and not bool(tensor.signbit().any())


@pytest.mark.parametrize("decay", [0.01, 15.0])  # times the learning rate above 1: a weight times 1 - that is negative
@pytest.mark.parametrize("name", CASES)
def test_what_is_removed_stays_plus_zero_with_its_state(name: str, decay: float) -> None:
    t = trajectory(**({"weight_decay": decay} | CASES[name] | {"epochs": 2}))
    mask = half_mask(t)
    for state in states(t, range(1, 7), masked(begin(t), mask)).values():
        per_weight = [tensors for slot, tensors in state.slots.items() if slot in OPTIMIZERS[t.recipe.optimizer].slots]
        assert bool(per_weight) == bool(state.slots)
        for n, kept in mask.items():
            assert all(is_plus_zero(tensors[n][~kept]) for tensors in (state.params, *per_weight))


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(OPTIMIZERS)),
    grads=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=4, max_size=4),
    decay=st.floats(0, 100),
    clip=st.none() | st.floats(1e-6, 1e6),
    betas=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
)
def test_no_gradient_moves_a_removed_weight(
    name: str, grads: list[float], decay: float, clip: float | None, betas: tuple[float, float]
) -> None:
    r = recipe(optimizer=name, weight_decay=decay, clip_norm=clip, **({} if name == "sgd" else {"betas": betas}))
    ours, params = optimizer(r), {"w": torch.tensor([0.0, 1.0, 0.0, -1.0])}
    factors, state = {"w": torch.tensor([0.0, 1.0, 0.0, 1.0])}, ours.begin(params, {})
    for sign in (1, -1):
        ours.update(params, [sign * torch.tensor(grads)], state, factors, torch.tensor(0.1))
        assert is_plus_zero(params["w"][::2])
        assert all(is_plus_zero(state[slot]["w"][::2]) for slot in ours.slots)


@settings(max_examples=40, deadline=None)
@given(grads=st.lists(st.floats(-1024, 1024, width=32), min_size=6, max_size=6), most=st.floats(1e-3, 1e3))
def test_clipping_shortens_what_is_too_long_and_only_that(grads: list[float], most: float) -> None:
    kept = torch.tensor([1.0, 0.0, 1.0])
    params = {"a": torch.zeros(3), "b": torch.zeros(3)}
    ours = optimizer(recipe(momentum=0.0, weight_decay=0.0, clip_norm=most))
    given_grads = [torch.tensor(grads[:3]), torch.tensor(grads[3:])]
    ours.update(params, given_grads, ours.begin(params, {}), {"a": kept}, torch.tensor(1.0))
    moved = -torch.cat([*params.values()]).double()
    asked = torch.cat([given_grads[0] * kept, given_grads[1]]).double()
    length = asked.norm()  # of what remains: the gradient of removed weights does not count
    expected = asked * min(1.0, most / (float(length) + 1e-6))
    assert torch.allclose(moved, expected, rtol=1e-5, atol=1e-6)


def test_clipping_and_masks_leave_the_gradients_that_a_rule_sees() -> None:
    params, grad = {"w": torch.ones(2)}, torch.tensor([3.0, 4.0])
    for name in OPTIMIZERS:
        ours = optimizer(recipe(optimizer=name, clip_norm=1.0))
        ours.update(params, [grad], ours.begin(params, {}), {"w": torch.tensor([1.0, 0.0])}, torch.tensor(0.1))
        assert grad.tolist() == [3.0, 4.0]


def test_adam_begins_anew_where_a_parameter_has_no_state() -> None:
    adam, params = optimizer(recipe(optimizer="adam")), {"a": torch.ones(2), "b": torch.ones(3)}
    left = {slot: {n: torch.full_like(t, 2.0) for n, t in params.items()} for slot in adam.slots}
    left["steps"] = {"": torch.tensor(7.0, dtype=torch.float64)}
    assert {float(t.max()) for slot in adam.begin(params, left).values() for t in slot.values()} == {2.0, 7.0}
    joined = adam.begin(params | {"score": torch.ones(1)}, left)
    assert all(not t.any() for slot in joined.values() for t in slot.values())


def test_another_optimizer_does_not_go_on_with_the_state_of_the_one_before() -> None:
    params = {"a": torch.ones(2)}
    momentum = {"momentum": {"a": torch.ones(2)}}
    assert not optimizer(recipe(optimizer="adam")).begin(params, momentum)["mean"]["a"].any()
    assert optimizer(recipe()).begin(params, momentum)["momentum"]["a"].all()


def test_the_state_of_before_is_copied() -> None:
    params, momentum = {"a": torch.ones(2)}, {"momentum": {"a": torch.ones(2)}}
    optimizer(recipe()).begin(params, momentum)["momentum"]["a"].zero_()
    assert momentum["momentum"]["a"].all()


WRONG = {
    "an unknown optimizer": ({"optimizer": "adma"}, ["optimizer 'adma'", "adam"]),
    "an unknown decay": ({"decay": "biases"}, ["decay 'biases'", "weights"]),
    "momentum beside adam": ({"optimizer": "adam", "momentum": 0.5}, ["momentum = 0.5", "adam"]),
    "nesterov beside adamw": ({"optimizer": "adamw", "nesterov": True}, ["nesterov = True", "adamw"]),
    "betas beside sgd": ({"betas": (0.9, 0.99)}, ["betas = (0.9, 0.99)", "sgd"]),
    "eps beside sgd": ({"eps": 1e-3}, ["eps = 0.001", "sgd"]),
    "one beta": ({"optimizer": "adam", "betas": (0.9,)}, ["betas = (0.9,)", "two numbers"]),
    "a number for betas": ({"optimizer": "adam", "betas": 0.9}, ["betas = 0.9", "two numbers"]),
    "a beta of one": ({"optimizer": "adam", "betas": (0.9, 1.0)}, ["betas = (0.9, 1.0)", "below 1"]),
    "a negative eps": ({"optimizer": "adam", "eps": -1e-8}, ["eps = -1e-08", "at least 0"]),
    "a clip at nothing": ({"clip_norm": 0.0}, ["clip_norm = 0.0", "above 0"]),
    "an infinite clip": ({"clip_norm": float("inf")}, ["clip_norm = inf", "finite"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_key_is_one_line_that_names_it(name: str) -> None:
    changes, named = WRONG[name]
    with pytest.raises(InputError) as error:
        recipe(**changes)
    assert all(part in str(error.value) for part in named) and "\n" not in str(error.value), error.value


def test_keys_of_recipes_from_before_there_were_optimizers_stay() -> None:
    later = {"shards", "optimizer", "betas", "eps", "clip_norm", "decay"}
    assert not recipe().identity.keys() & later
    assert recipe(betas=[0.9, 0.999]).identity == recipe().identity
    assert recipe(optimizer="adam", eps=1).identity == recipe(optimizer="adam", eps=1.0).identity
    assert recipe(optimizer="adam", eps=1e-8).identity == recipe(optimizer="adam").identity
    changes = [{"optimizer": "adam"}, {"optimizer": "adamw"}, {"decay": "weights"}, {"clip_norm": 1}, {"clip_norm": 2}]
    changes += [{"optimizer": "adam", "eps": 1}, {"optimizer": "adam", "betas": (0, 0.9)}]
    found = [recipe(**change).identity for change in [{}, *changes]]
    assert all(one not in found[:at] for at, one in enumerate(found))
    assert recipe(clip_norm=1).identity == recipe(clip_norm=1.0).identity
