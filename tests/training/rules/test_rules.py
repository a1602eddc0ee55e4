"""Rules: each does what its paper says, computed here a second time from plain SGD. Counts are exact at every step."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor
from torch.func import functional_call

from lthbench.pruning.allocate import keep_global, removed_count
from lthbench.pruning.state import State, module_of
from lthbench.training.rules import ADMM, SET, Gradual, GraNet, Movement, RigL, Rule, TrainingState
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.helpers import begin, bits, feed, masked, mlp, states, trained, trajectory

PLAIN = {"momentum": 0.0, "weight_decay": 0.0}


def sparse(t: Trajectory, sparsity: float = 0.6, seed: int = 0) -> State:
    """Return a random sparse state to start from."""
    g = Generator().manual_seed(seed)
    state = begin(t)
    return masked(state, keep_global({n: torch.rand(m.shape, generator=g) for n, m in state.mask.items()}, sparsity))


def counts(state: State) -> dict[str, int]:
    return {n: int(m.sum()) for n, m in state.mask.items()}


def live_after(t: Trajectory, state: State, steps: int = 2) -> TrainingState:
    """Return a training stopped in the middle, with its gradients."""
    trainer = Trainer(t, state, 0, feed())
    trainer.run([steps], lambda *_: None)
    return trainer.current


@pytest.mark.parametrize("rule", [SET(0.4, every=1), RigL(0.4, every=1)])
def test_rewiring_moves_the_mask_and_keeps_the_count_of_every_layer(rule: Rule) -> None:
    t = trajectory(mlp("mlp-12-8"), rule=rule)
    start = sparse(t)
    found = states(t, range(1, t.clock.total + 1), start)
    assert all(counts(state) == counts(start) for state in found.values())
    assert len({str(bits(state)["mask"]) for state in found.values()}) > 4
    assert all(state.params[n][~m].eq(0).all() for state in found.values() for n, m in state.mask.items())


@given(seed=st.integers(0, 5), rate=st.floats(0, 1), rigl=st.booleans())
def test_rewiring_drops_the_smallest_and_grows_the_highest(seed: int, rate: float, rigl: bool) -> None:
    t = trajectory(mlp("mlp-12-8"))
    s = live_after(t, sparse(t, seed=seed))
    s.step, rule = 0, RigL(rate, end=1e9) if rigl else SET(rate)
    before = {n: (m.clone(), s.params[n].detach().clone()) for n, m in s.mask.items()}
    growth = {n: rule.growth(s, n) for n in s.prunable}
    s._generator = None
    with torch.no_grad():
        rule.after_step(s)
    for n, (old, weight) in before.items():
        by_size = sorted((abs(w), i) for i, w in enumerate(weight.flatten().tolist()) if old.flatten()[i])
        gone = {i for _, i in by_size[: int(rate * len(by_size))]}
        kept = {i for _, i in by_size} - gone
        free = sorted(((g, i) for i, g in enumerate(growth[n].flatten().tolist()) if i not in kept), reverse=True)
        grown = {i for _, i in free[: len(gone)]}
        assert set(s.mask[n].flatten().nonzero().flatten().tolist()) == kept | grown
        fresh = s.mask[n] & ~old
        assert s.params[n][fresh].eq(0).all() and s.momentum[n][fresh].eq(0).all()
        assert torch.equal(s.params[n][old & s.mask[n]], weight[old & s.mask[n]])


def test_rigl_grows_by_the_dense_gradient() -> None:
    t = trajectory(mlp("mlp-12"))
    s = live_after(t, sparse(t))
    assert all(torch.equal(RigL().growth(s, n), s.grads[n].abs()) for n in s.prunable)
    assert all(RigL().growth(s, n)[~s.mask[n]].gt(0).any() for n in s.prunable)


def test_set_grows_at_random_and_otherwise_in_every_step() -> None:
    t = trajectory(mlp("mlp-12"))
    s = live_after(t, sparse(t))
    one = SET().growth(s, "out.weight")
    s.step += 1
    assert not torch.equal(one, SET().growth(s, "out.weight"))


def test_the_share_that_rigl_rewires_falls_along_a_cosine() -> None:
    t = trajectory(epochs=8)
    s, rule = live_after(t, begin(t)), RigL(0.3, end=0.75)
    found = []
    for step in range(s.total):
        s.step = step
        found.append(rule.fraction(s))
    assert found[8] == pytest.approx(0.15), "half of the way to three quarters of 24 steps"
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(0.3, abs=0.01)
    assert found[17:] == [0.0] * 7


@pytest.mark.parametrize("allocation", ["global", "uniform", "erk", "balanced"])
def test_granet_ends_exactly_at_its_sparsity(allocation: str) -> None:
    t = trajectory(mlp("mlp-12-8"), rule=GraNet(0.8, every=2), allocation=allocation, epochs=8)
    found = states(t, range(1, t.clock.total + 1))
    left = [sum(counts(state).values()) for state in found.values()]
    size = t.model.prunable_count
    assert left == sorted(left, reverse=True) and len(set(left)) > 4
    assert left[12:] == [size - removed_count(size, 0.8)] * 12, "half of the training, and from there on"


def test_granet_is_gradual_pruning_that_regrows() -> None:
    def ends(rule: Rule) -> State:
        return trained(trajectory(mlp("mlp-12-8"), rule=rule, epochs=8))

    gradual, regrown = ends(Gradual(0.8, every=2, begin=0.0, end=0.5)), ends(GraNet(0.8, every=2))
    assert bits(ends(GraNet(0.8, every=2, rate=0.0))) == bits(gradual)
    assert bits(regrown)["mask"] != bits(gradual)["mask"]


def by_hand(t: Trajectory, gradient_step: Callable[[int, dict[str, Tensor], tuple[Tensor, Tensor]], None]) -> State:
    """Go through the batches of a training, and pass each on with the parameters to change."""
    state, data = begin(t), feed()
    params = {n: p.clone() for n, p in state.params.items()}
    for step in range(t.clock.total):
        epoch, offset = divmod(step, t.clock.steps_per_epoch)
        index = data.epoch(t.clock, t.recipe, t.seed, t.order, epoch)[offset]
        gradient_step(step, params, data.batch(index))
    return State(params, {}, state.mask)


def slopes(t: Trajectory, params: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    own = {n: p.detach().requires_grad_() for n, p in params.items()}
    loss = F.cross_entropy(functional_call(module_of(t.model, begin(t)), own, (batch[0],)), batch[1])
    return dict(zip(own, torch.autograd.grad(loss, list(own.values())), strict=True))


def test_movement_pruning_by_hand() -> None:
    rule = Movement(0.8, every=2, begin=0.1, end=0.6)
    t = trajectory(mlp("mlp-12"), rule=rule, epochs=6, **PLAIN)
    start = begin(t)
    score = {n: torch.zeros_like(start.params[n]) for n in start.mask}
    mask = start.mask

    def one(step: int, params: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> None:
        nonlocal mask
        found = slopes(t, params | {n: params[n] * m for n, m in mask.items()}, batch)
        for n in score:
            score[n] -= 0.1 * found[n] * params[n]
        for n, slope in found.items():
            params[n] -= 0.1 * slope * mask.get(n, 1)
        if (step + 1) % 2 == 0:
            mask = keep_global(score, rule.sparsity((step + 1) / t.clock.total))

    expected, found = by_hand(t, one), trained(t)
    for n, m in mask.items():
        assert torch.allclose(found.rule[f"score/{n}"], score[n], rtol=1e-3, atol=1e-6)
        assert torch.equal(found.mask[n], m)
        assert torch.allclose(found.params[n], expected.params[n] * m, rtol=1e-3, atol=1e-5)
    assert sum(int((~m).sum()) for m in found.mask.values()) == removed_count(t.model.prunable_count, 0.8)


def test_a_weight_that_movement_pruned_may_come_back() -> None:
    t = trajectory(mlp("mlp-12"), rule=Movement(0.5, every=1, begin=0.0, end=0.1), epochs=8)
    masks = [state.mask for state in states(t, range(3, t.clock.total)).values()]
    back = [(b[n] & ~a[n]).any() for a, b in pairwise(masks) for n in a]
    assert any(back)


def test_admm_by_hand() -> None:
    rule = ADMM(0.7, rho=0.05, every=3)
    t = trajectory(mlp("mlp-12"), rule=rule, epochs=6, **PLAIN)
    start = begin(t)
    u = {n: torch.zeros_like(start.params[n]) for n in start.mask}

    def projected(params: dict[str, Tensor]) -> dict[str, Tensor]:
        wanted = {n: params[n] + u[n] for n in u}
        border = torch.cat([w.abs().flatten() for w in wanted.values()]).sort().values
        least = border[removed_count(len(border), 0.7)]
        return {n: torch.where(w.abs() >= least, w, 0.0) for n, w in wanted.items()}

    z = projected(start.params)

    def one(step: int, params: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> None:
        nonlocal z
        for n, slope in slopes(t, params, batch).items():
            pull = 0.05 * (params[n] - z[n] + u[n]) if n in u else 0.0
            params[n] -= 0.1 * (slope + pull)
        if (step + 1) % 3 == 0:
            z = projected(params)
            for n in u:
                u[n] += params[n] - z[n]

    expected, found = by_hand(t, one), trained(t)
    for n, w in expected.params.items():
        assert torch.allclose(found.params[n], w, rtol=1e-3, atol=1e-5)
    assert all(torch.allclose(found.rule[f"u/{n}"], t, rtol=1e-3, atol=1e-5) for n, t in u.items())
    assert all(m.all() for m in found.mask.values())


def test_admm_draws_weights_to_their_sparse_projection() -> None:
    def rest(rule: Rule | None) -> float:
        weights = torch.cat(
            [w.flatten() for n, w in trained(trajectory(rule=rule, epochs=40)).params.items() if n[-1] == "t"]
        )
        size = weights.abs().sort().values
        return (size[: int(0.7 * len(size))].norm() / size.norm()).item()

    assert rest(ADMM(0.7, rho=0.1, every=3)) < 0.7 * rest(None)


@pytest.mark.parametrize("rule", [SET(), RigL(), GraNet(0.5), Movement(0.5), ADMM(0.5)])
def test_a_rule_is_finite_for_all_of_its_defaults(rule: Rule) -> None:
    t = trajectory(rule=rule, epochs=40, lr=0.05)
    state = trained(t, until=102)
    assert all(math.isfinite(w.sum()) for w in state.params.values())
