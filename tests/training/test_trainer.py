"""The trainer: cutting a training anywhere changes nothing, and one step is that of the textbook."""

import math
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lthbench.errors import MethodError
from lthbench.models import FAMILIES
from lthbench.pruning.allocate import removed_count
from lthbench.pruning.state import State, module_of
from lthbench.training.optimizer import OPTIMIZERS
from lthbench.training.rules import ADMM, L1, SET, Gradual, GraNet, Movement, Rule, TrainingState
from lthbench.training.schedule import rates
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.helpers import FAMILY, begin, bits, conv, feed, masked, mlp, start, states, trained, trajectory


@pytest.fixture(autouse=True)
def conv_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "conv", FAMILY)


@pytest.fixture(autouse=True)
def generators_as_before() -> Iterator[None]:
    """Restore the generators, so that a failing test does not change the draws of the next."""
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


@dataclass(frozen=True)
class Wandering(Rule):
    """A rule that keeps a mean of the weights and moves its mask at random: state, mask, momentum and generator are all
    in use."""

    every: int = 2

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        return {f"mean.{n}": s.params[n].clone() for n in s.prunable} | {"calls": torch.zeros(())}

    def after_step(self, s: TrainingState) -> None:
        s.state["calls"] += 1
        g = s.generator
        for n in s.prunable:
            s.state[f"mean.{n}"].mul_(0.9).add_(s.params[n], alpha=0.1)
        drawn = {n: torch.rand(s.params[n].shape, generator=g).to(s.params[n].device) for n in s.prunable}
        s.set_mask(s.select({n: s.state[f"mean.{n}"].abs() + drawn[n] for n in s.prunable}, 0.4))


@dataclass(frozen=True)
class Popup(Rule):
    """A rule that trains scores beside fixed weights; the forward pass uses the weights with the higher scores."""

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        return {f"score.{n}": s.params[n].detach().abs().clone() for n in s.prunable}

    def trained(self, s: TrainingState) -> dict[str, Tensor]:
        return dict(s.state)

    def weights(self, s: TrainingState) -> dict[str, Tensor]:
        used = dict(s.params)
        for n in s.prunable:
            score = s.state[f"score.{n}"]
            used[n] = s.params[n].detach() * ((score > score.detach().median()).float() + score - score.detach())
        return used


@dataclass(frozen=True)
class Short(Rule):
    """A rule that ends the training after some epochs."""

    epochs: int = 1

    def done(self, s: TrainingState) -> bool:
        return s.step >= self.epochs * s.steps_per_epoch


@dataclass(frozen=True)
class Hardened(Rule):
    """A rule that leaves half of the weights at every stop, while the training itself continues with all."""

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        return {"finished": torch.zeros(())}

    def finish(self, s: TrainingState) -> None:
        s.state["finished"] += 1
        keep = s.select({n: s.params[n].abs() for n in s.prunable}, 0.5)
        for n, t in keep.items():
            s.params[n].mul_(t)
            s.mask[n] = t


@dataclass(frozen=True)
class HardenedBySetMask(Rule):
    """The same rule through set_mask."""

    def finish(self, s: TrainingState) -> None:
        s.set_mask(s.select({n: s.params[n].abs() for n in s.prunable}, 0.5))


@dataclass(frozen=True)
class Pushing(Rule):
    """A rule that moves a weight, its momentum and a mask, in place or by other tensors."""

    in_place: bool
    every: int = 2

    def after_step(self, s: TrainingState) -> None:
        name = "out.weight"
        for part, other in ((s.params, s.params[name] + 0.1), (s.momentum, s.momentum[name] / 2)):
            part[name] = part[name].copy_(other) if self.in_place else other
        mask = s.params[name] > -0.5
        s.mask[name] = s.mask[name].copy_(mask) if self.in_place else mask


def half_mask(t: Trajectory, seed: int = 0) -> dict[str, Tensor]:
    g = Generator().manual_seed(seed)
    return {n: torch.rand(shape, generator=g) < 0.5 for n, shape in t.model.prunable_shapes.items()}


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "step drop": {"drops": (0.5, 0.8)},
    "warm-up": {"warmup": 0.6, "schedule": "linear"},
    "cosine": {"schedule": "cosine"},
    "batch tail of one": {"size": 17},
    "no batch tail": {"size": 24},
    "augmentation": {"augment": "crop-flip"},
    "stateful rule": {"rule": Wandering()},
    "stateful rule, uniform": {"rule": Wandering(every=1), "allocation": "uniform"},
    "trained scores": {"rule": Popup()},
    "penalty": {"rule": L1(0.01)},
    "gradual": {"rule": Gradual(0.8, every=2)},
    "rewiring": {"rule": GraNet(0.6, every=2)},
    "random growth": {"rule": SET(every=2)},
    "admm": {"rule": ADMM(0.5, rho=0.1, every=2)},
    "movement": {"rule": Movement(0.5, every=2)},
    "finish": {"rule": Hardened()},
    "another order": {"order": 3},
    "nesterov": {"nesterov": True},
    "no momentum": {"momentum": 0.0},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adamw, clipped": {"optimizer": "adamw", "model": "conv-norm", "decay": "weights", "clip_norm": 0.5},
    "adam and a moving mask": {"optimizer": "adam", "rule": Wandering(), "clip_norm": 1.0},
    "adamw and trained scores": {"optimizer": "adamw", "rule": Movement(0.5, every=2)},
    "label smoothing": {"label_smoothing": 0.1},
    "fewer examples": {"examples": 13},
    "bf16": {"precision": "bf16"},
    "convolution": {"model": "conv"},
    "batch-norm": {"model": "conv-norm"},
    "shards": {"model": "conv-norm", "shards": 3, "augment": "crop-flip"},
    "shards and a penalty": {"shards": 2, "rule": L1(0.01)},
    "shards and trained scores": {"shards": 2, "rule": Popup()},
    "dropout": {"model": "conv-dropout"},
    "all": {"model": "conv-norm-dropout", "augment": "crop-flip", "rule": Wandering(), "order": 2, "drops": (0.5,)},
}


def built(case: dict[str, Any]) -> Trajectory:
    case = dict(case)
    name = case.pop("model", "mlp-6")
    return trajectory(conv(name) if name.startswith("conv") else mlp(name), **case)


def halves_equal_the_whole(t: Trajectory) -> None:
    """Train in one go, then to every step and from every step on."""
    total = t.clock.total
    whole = bits(trained(t))
    stopping = states(t, range(1, total + 1))
    assert bits(stopping[total]) == whole, "stopping on the way changed the end"
    for stop in range(1, total):
        assert bits(trained(t, stop)) == bits(stopping[stop]), f"training to step {stop} alone"
        half = stopping[stop].raw or stopping[stop]
        assert bits(states(t, [total], half, stop)[total]) == whole, f"going on from step {stop}"


@pytest.mark.parametrize("name", CASES)
def test_two_halves_equal_one_whole_at_every_step(name: str) -> None:
    halves_equal_the_whole(built(CASES[name]))


def test_two_halves_of_a_sparse_network_equal_one_whole() -> None:
    t = trajectory()
    state = masked(begin(t), half_mask(t))
    whole = states(t, [3, 9], state)
    assert bits(states(t, [9], whole[3], 3)[9]) == bits(whole[9])


def test_two_halves_equal_one_whole_where_a_training_begins_late() -> None:
    t = replace(trajectory(), first=4)
    whole = states(t, [5, 6, 7, 9], at=4)
    for stop in (5, 6, 7):
        assert bits(states(t, [9], whole[stop], stop)[9]) == bits(whole[9])


def test_two_halves_equal_one_whole_under_a_rule_that_sets_a_mask_to_finish() -> None:
    halves_equal_the_whole(trajectory(rule=HardenedBySetMask()))


@pytest.mark.parametrize("name", CASES)
def test_training_changes_every_prunable_weight_or_score(name: str) -> None:
    """Without this, the tests above would hold for a trainer that does nothing."""
    t = built(CASES[name])
    before, after = begin(t), trained(t)
    if isinstance(t.rule, Popup):
        assert all(not torch.equal(before.params[n].abs(), after.rule[f"score.{n}"]) for n in before.mask)
    else:
        assert all(not torch.equal(before.params[n], after.params[n]) for n in before.mask)


@pytest.mark.parametrize("name", ["augmentation", "dropout", "batch-norm", "label smoothing", "bf16", "nesterov"])
def test_each_ingredient_changes_the_result(name: str) -> None:
    t = built(CASES[name])
    plain = trajectory(conv("conv") if t.model.name.startswith("conv") else None)
    one, other = trained(t), trained(plain)
    assert not torch.equal(one.params["out.weight"], other.params["out.weight"])


SGD = {
    "plain": {"momentum": 0.0, "weight_decay": 0.0},
    "momentum": {},
    "nesterov": {"nesterov": True},
    "strong decay": {"weight_decay": 0.1},
    "schedule": {"drops": (0.3, 0.6), "warmup": 0.4},
    "label smoothing": {"label_smoothing": 0.2},
}


@pytest.mark.parametrize("name", SGD)
def test_a_training_equals_torch_sgd(name: str) -> None:
    t = trajectory(**SGD[name])
    recipe, data = t.recipe, feed()
    module = module_of(t.model, begin(t))
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=1.0,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    steps = iter(rates(recipe, t.clock.total).tolist())
    for epoch in range(recipe.epochs):
        for index in data.epoch(t.clock, recipe, t.seed, t.order, epoch):
            optimizer.param_groups[0]["lr"] = next(steps)
            images, labels = data.batch(index)
            optimizer.zero_grad()
            F.cross_entropy(module(images), labels, label_smoothing=recipe.label_smoothing).backward()
            optimizer.step()
    ours = trained(t).params
    for parameter, expected in module.named_parameters():
        assert torch.allclose(ours[parameter], expected, rtol=1e-4, atol=1e-6)


def test_every_epoch_sees_every_example_once_in_another_order() -> None:
    t, data = trajectory(), feed()
    epochs = [torch.cat(data.epoch(t.clock, t.recipe, 1, 0, epoch)).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(22)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [len(batch) for batch in data.epoch(t.clock, t.recipe, 1, 0, 0)] == [8, 8, 6]


def test_a_recipe_for_fewer_examples_sees_always_the_same_ones() -> None:
    t, data = trajectory(examples=13), feed()
    seen = [sorted(torch.cat(data.epoch(t.clock, t.recipe, 1, 0, epoch)).tolist()) for epoch in range(3)]
    assert seen[0] == seen[1] == seen[2] and len(set(seen[0])) == 13
    assert set(data.subset(9, seed=1).tolist()) < set(seen[0])


def seen_by_the_network(t: Trajectory) -> list[Tensor]:
    """Return the batches of a training as the forward pass gets them."""
    trainer, seen = Trainer(t, begin(t), 0, feed(t.clock.size)), []
    trainer.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    trainer.run([t.clock.total], lambda *_: None)
    return seen


def test_augmentation_is_another_one_at_every_step_and_for_every_seed_and_order() -> None:
    changes = {"size": 1, "epochs": 12, "augment": "crop-flip"}  # one example, twelve times
    found = [torch.cat(seen_by_the_network(trajectory(**changes, **more))) for more in ({}, {"seed": 2}, {"order": 1})]
    assert all(len(images.unique(dim=0)) > 4 for images in found)
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_augmentation_crops_from_the_padded_image_and_flips() -> None:
    padded = F.pad(feed(1).images[0], (1, 1, 1, 1))
    crops = [padded[:, y : y + 4, x : x + 4] for y in range(3) for x in range(3)]
    possible = [image for crop in crops for image in (crop, crop.flip(2))]
    images = torch.cat(seen_by_the_network(trajectory(size=1, epochs=60, augment="crop-flip")))
    reached = {next(i for i, p in enumerate(possible) if torch.equal(image, p)) for image in images}
    assert len(reached) > 12  # of eighteen


def test_running_statistics_are_those_of_the_batches() -> None:
    t = trajectory(conv("conv-norm"))
    module = module_of(t.model, begin(t))
    first = seen_by_the_network(t)[0]
    mean = module.conv(first).detach().mean((0, 2, 3))
    assert torch.allclose(trained(t, until=1).buffers["norm.running_mean"], 0.1 * mean, atol=1e-6)
    assert trained(t).buffers["norm.num_batches_tracked"] == 9


def test_a_mask_that_removes_nothing_changes_no_bit() -> None:
    t = trajectory()
    full = {n: torch.ones_like(m) for n, m in begin(t).mask.items()}
    unpruned = replace(t, start=start(mlp(prunable=(), dense=("*",))))  # a network of which nothing can be removed
    assert bits(states(t, [9], masked(begin(t), full))[9]) == bits(trained(t))
    assert bits(trained(t))["params"] == bits(trained(unpruned))["params"]


@pytest.mark.parametrize("changes", [{}, {"nesterov": True}, {"momentum": 0.0}, {"precision": "bf16"}])
def test_masked_weights_stay_zero_and_the_others_move(changes: dict[str, Any]) -> None:
    t = trajectory(**changes)
    mask = half_mask(t)
    before = masked(begin(t), mask)
    for state in states(t, range(1, 10), before).values():
        for n, keep in mask.items():
            assert state.params[n][~keep].eq(0).all()
            assert torch.equal(state.mask[n], keep)
    assert all((state.params[n] != before.params[n])[keep].any() for n, keep in mask.items())


def test_what_is_masked_away_has_no_influence() -> None:
    t = trajectory()
    mask = half_mask(t)
    state = begin(t)
    noisy = {n: torch.where(mask[n], w, 9.0) if n in mask else w for n, w in state.params.items()}
    one = states(t, [9], masked(state, mask))[9]
    other = states(t, [9], masked(replace(state, params=noisy), mask))[9]
    assert bits(one) == bits(other)


def test_a_trained_network_is_its_kept_values_and_its_mask_bit_for_bit() -> None:
    t = trajectory()
    state = states(t, [9], masked(begin(t), half_mask(t)))[9]
    assert bits(masked(state, state.mask))["params"] == bits(state)["params"]


def test_the_starting_state_is_left_as_it_was() -> None:
    t = trajectory(conv("conv-norm"), rule=Wandering())
    state = begin(t)
    before = bits(state)
    states(t, [1, 9], state)
    assert bits(state) == before


def test_states_share_no_memory_with_the_training() -> None:
    t = trajectory(conv("conv-norm"), rule=Wandering())
    one, two = Trainer(t, begin(t), 0, feed()), Trainer(t, begin(t), 0, feed())

    def spoil(_: int, state: State) -> None:
        for part in (state.params, state.buffers, state.mask, state.rule, *state.slots.values()):
            for tensor in part.values():
                tensor.zero_()

    one.run([1, 3, 9], spoil)
    two.run([9], lambda *_: None)
    assert bits(one.snapshot()) == bits(two.snapshot())


@pytest.mark.parametrize(
    ("changes", "slots"), [({}, {"momentum"}), ({"optimizer": "adam"}, {"mean", "variance", "steps"})]
)
def test_the_optimizers_state_is_stored_only_for_states_short_of_the_end(
    changes: dict[str, Any], slots: set[str]
) -> None:
    found = states(trajectory(**changes), [4, 9])
    assert found[4].slots.keys() == slots
    assert all(found[4].slots[slot].keys() == found[4].params.keys() for slot in slots - {"steps"})
    assert found[9].slots == {}


def one_step(rule: Rule | None) -> dict[str, Tensor]:
    return trained(trajectory(rule=rule, momentum=0.0, weight_decay=0.0), until=1).params


def test_the_l1_penalty_is_its_gradient_by_hand() -> None:
    t, before = trajectory(), begin(trajectory()).params
    plain, pulled = one_step(None), one_step(L1(0.05))
    for n, w in before.items():
        expected = plain[n] - 0.1 * 0.05 * w.sign() if n in t.model.prunable_shapes else plain[n]
        assert torch.allclose(pulled[n], expected, atol=1e-7)


@pytest.mark.parametrize("allocation", ["global", "uniform", "erk"])
@pytest.mark.parametrize("final", [0.5, 0.9])
def test_gradual_pruning_ends_exactly_at_its_sparsity(allocation: str, final: float) -> None:
    t = trajectory(rule=Gradual(final, every=3), allocation=allocation, epochs=8)
    left = [sum(int(m.sum()) for m in s.mask.values()) for s in states(t, range(1, t.clock.total + 1)).values()]
    size = t.model.prunable_count
    assert left[-1] == size - removed_count(size, final)
    assert left == sorted(left, reverse=True)
    assert left[0] == size and len(set(left)) > 2


def test_gradual_pruning_follows_the_cubic_rise() -> None:
    rule = Gradual(0.8, begin=0.2, end=0.6)
    assert [rule.sparsity(t) for t in (0.0, 0.2, 0.6, 1.0)] == pytest.approx([0, 0, 0.8, 0.8])
    assert rule.sparsity(0.4) == pytest.approx(0.8 * (1 - 0.5**3))


def test_gradual_pruning_leaves_weights_zero() -> None:
    state = trained(trajectory(rule=Gradual(0.8, every=2)))
    assert all(state.params[n][~m].eq(0).all() for n, m in state.mask.items())


@pytest.mark.parametrize("every", [2, 4, 5, 9])
def test_gradual_pruning_reaches_its_sparsity_whatever_the_last_update_is(every: int) -> None:
    t = trajectory(rule=Gradual(0.8, every=every))
    assert sum(int((~m).sum()) for m in trained(t).mask.values()) == removed_count(t.model.prunable_count, 0.8)


def test_gradual_pruning_that_never_prunes_raises() -> None:
    with pytest.raises(MethodError, match="prune more often"):
        trained(trajectory(rule=Gradual(0.8)))  # every 100 steps, of nine


def test_gradual_pruning_in_small_steps_runs_under_uniform_allocation() -> None:
    trained(trajectory(mlp("mlp-20-10"), rule=Gradual(0.8, every=1), allocation="uniform", epochs=60))


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_rule_that_is_done_ends_the_training_at_the_end_of_an_epoch(epochs: int) -> None:
    t = trajectory(rule=Short(epochs))
    trainer = Trainer(t, begin(t), 0, feed())
    assert trainer.run([9], lambda *_: None) == 3 * epochs
    assert bits(trainer.snapshot())["params"] == bits(trained(trajectory(), until=3 * epochs))["params"]


@pytest.mark.parametrize("stop", [1, 3, 5, 6, 7])
def test_two_halves_agree_on_when_a_rule_is_done(stop: int) -> None:
    t = trajectory(rule=Short(epochs=2))
    half = trained(t, until=stop)
    trainer = Trainer(t, half, min(stop, 6), feed())
    assert trainer.run([9], lambda *_: None) == 6
    assert bits(trainer.snapshot()) == bits(trained(t))


def test_a_training_that_ends_early_leaves_a_state_at_every_stop() -> None:
    found = states(trajectory(rule=Short(epochs=1)), [2, 5, 9])
    assert found.keys() == {2, 5, 9}
    assert bits(found[5]) == bits(found[9])


def test_a_rule_that_finishes_leaves_plain_weights_and_goes_on_from_the_raw_ones() -> None:
    t = trajectory(rule=Hardened())
    found = states(t, [4, 9])
    half = removed_count(t.model.prunable_count, 0.5)
    for state in found.values():
        assert sum(int((~m).sum()) for m in state.mask.values()) == half
        assert all(state.params[n][~m].eq(0).all() for n, m in state.mask.items())
        assert state.rule["finished"] == 1
    raw = found[4].raw
    assert raw is not None and all(m.all() for m in raw.mask.values()) and raw.rule["finished"] == 0
    assert bits(raw)["params"] == bits(trained(trajectory(), until=4))["params"]
    assert found[9].raw is None


def test_a_rule_keeps_its_state_in_the_network() -> None:
    found = states(trajectory(rule=Wandering(every=2)), [1, 4, 9])
    assert [found[stop].rule["calls"].item() for stop in (1, 4, 9)] == [0, 2, 4]


def test_trained_scores_leave_the_weights_alone() -> None:
    t = trajectory(rule=Popup())
    found, before = trained(t), begin(t)
    assert bits(found)["params"] == bits(before)["params"]
    assert found.rule.keys() == {f"score.{n}" for n in t.model.prunable_shapes}


@pytest.mark.parametrize("rule", [None, Wandering()])
def test_another_seed_or_order_is_another_training(rule: Rule | None) -> None:
    ends = [trained(trajectory(rule=rule, seed=seed, order=order)) for seed, order in ((1, 0), (1, 0), (2, 0), (1, 1))]
    found = [str(bits(end)["params"]) for end in ends]
    assert found[0] == found[1]
    assert len(set(found)) == 3


@pytest.mark.parametrize("name", ["dropout", "augmentation"])
def test_the_global_generator_has_no_influence(name: str) -> None:
    t, found = built(CASES[name]), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        found.append(bits(trained(t)))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", CASES)
def test_the_global_generators_are_as_before_after_a_training(name: str) -> None:
    t = built(CASES[name])
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    trained(t)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_bf16_trains_near_fp32() -> None:
    one, other = (trained(trajectory(precision=name), until=1).params for name in ("bf16", "fp32"))
    for n, w in one.items():
        assert w.dtype == torch.float32
        assert torch.allclose(w, other[n], atol=0.01)
    assert not torch.equal(one["out.weight"], other["out.weight"])


def test_training_leaves_precision_flags_as_they_were() -> None:
    trained(trajectory(precision="bf16"))
    trained(trajectory(precision="tf32"))
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.backends.cuda.matmul.allow_tf32


def test_training_fits_the_examples() -> None:
    t = trajectory(epochs=60, weight_decay=0.0)
    module, data = module_of(t.model, trained(t)), feed()
    with torch.no_grad():
        right = (module(data.images).argmax(1) == data.labels).float().mean()
    assert right > 0.9


def current(t: Trajectory) -> TrainingState:
    return Trainer(t, masked(begin(t), half_mask(t)), 0, feed()).current


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_setting_a_mask_zeroes_what_goes_and_what_comes(optimizer: str) -> None:
    s, per_weight = current(trajectory(optimizer=optimizer)), OPTIMIZERS[optimizer].slots
    new = half_mask(trajectory(), seed=1)
    old = {n: m.clone() for n, m in s.mask.items()}
    with torch.no_grad():
        for n in s.prunable:
            s.params[n].fill_(1.0)
            for slot in per_weight:
                s.slots[slot][n].fill_(1.0)
        s.set_mask(new)
    for n in s.prunable:
        for t in (s.params[n], *(s.slots[slot][n] for slot in per_weight)):
            assert torch.equal(t, (old[n] & new[n]).float())
        assert torch.equal(s.mask[n], new[n])


def test_the_generator_of_a_rule_is_a_function_of_seed_order_and_step() -> None:
    def drawn(step: int = 0, **changes: int) -> float:
        s = current(trajectory(**changes))
        s.step = step
        return torch.rand((), generator=s.generator).item()

    assert drawn() == drawn()
    assert len({drawn(), drawn(step=1), drawn(seed=2), drawn(order=1)}) == 4


def test_a_rule_that_draws_twice_in_a_step_draws_different_numbers() -> None:
    s = current(trajectory())
    one, other = (torch.rand(4, generator=s.generator) for _ in range(2))
    assert not torch.equal(one, other)


def test_the_rate_that_a_rule_sees_is_that_of_the_step() -> None:
    seen: list[float] = []

    @dataclass(frozen=True)
    class Watching(Rule):
        every: int = 1

        def after_step(self, s: TrainingState) -> None:
            seen.append(s.lr.item())

    trained(trajectory(rule=Watching(), drops=(0.5,)))
    assert seen == pytest.approx([0.1] * 5 + [0.01] * 4)


def test_gradients_that_a_rule_sees_are_dense() -> None:
    t = trajectory()
    trainer = Trainer(t, masked(begin(t), half_mask(t)), 0, feed())
    trainer.run([1], lambda *_: None)
    assert all(trainer.current.grads[n][~m].ne(0).any() for n, m in trainer.current.mask.items())


def test_tensors_that_a_rule_puts_in_place_of_others_are_trained() -> None:
    one, other = (trained(trajectory(rule=Pushing(in_place))) for in_place in (True, False))
    assert bits(one) == bits(other)
    assert not one.mask["out.weight"].all()


def test_a_training_that_diverges_is_not_hidden() -> None:
    state = trained(trajectory(lr=1e30))
    assert not all(math.isfinite(w.sum()) for w in state.params.values())


class Reads(TorchDispatchMode):
    """A mode that notes whether a turn was held when a value was read."""

    def __init__(self, turn: threading.Lock):
        super().__init__()
        self.turn, self.found = turn, []  # type: ignore[var-annotated]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.found.append(self.turn.locked())
        return func(*args, **(kwargs or {}))


def test_losses_are_read_in_a_turn() -> None:
    """A neighbour that rehearses in its turn makes the whole process refuse reads of a GPU."""
    turn = threading.Lock()
    trainer = Trainer(trajectory(), begin(trajectory()), 0, feed(), lambda: turn)
    trainer.run([7], lambda *_: None)
    with Reads(turn) as reads:
        ended, under_way = trainer.losses
    assert len(ended) == 2 and under_way > 0
    assert reads.found == [True] * 3 and not turn.locked()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_global_generator_has_no_influence_on_dropout_on_a_gpu() -> None:
    """This means the generator of the device: `_draws` looks only at that of the CPU."""
    t, on_gpu, ends = trajectory(conv("conv-dropout")), feed(device="cuda"), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        trainer = Trainer(t, begin(t), 0, on_gpu)
        trainer.run([9], lambda *_: None)
        ends.append(bits(trainer.snapshot()))
    assert ends[0] == ends[1]
