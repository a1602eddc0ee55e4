"""Hooks inside a step: computed a second time by hand, the same in both trainers, split anywhere, and charged."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from lthbench.errors import MethodError
from lthbench.models import FAMILIES, Model
from lthbench.pruning.state import State, module_of
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.rules import (
    L1,
    SAM,
    CutMix,
    Distillation,
    GradientAt,
    Gradual,
    Mixup,
    Rule,
    TrainingState,
    check_rule,
    passes_of_rule,
)
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.helpers import FAMILY, begin, bits, conv, feed, masked, mlp, trajectory
from tests.training.test_trainer import half_mask


@pytest.fixture(autouse=True)
def conv_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "conv", FAMILY)


def model_of(name: str) -> Model:
    return conv(name) if name.startswith("conv") else mlp(name)


@dataclass(frozen=True)
class Defaults(Rule):
    """Every hook inside a step, written out as it is without a rule."""

    def batch(self, s: TrainingState, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images, labels

    def loss(self, s: TrainingState, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels, label_smoothing=s.recipe.label_smoothing)

    def gradient(self, s: TrainingState, at: GradientAt) -> dict[str, Tensor]:
        return at(self.trained(s))

    def update(self, s: TrainingState, grads: dict[str, Tensor]) -> None:
        s.descend(grads)

    def learning_rate(self, s: TrainingState, rate: float) -> float:
        return rate


@dataclass(frozen=True)
class SignDescent(Rule):
    """An optimizer of one's own, with a state of its own."""

    beta: float = 0.9

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        return {n: torch.zeros_like(p) for n, p in s.params.items()}

    def update(self, s: TrainingState, grads: dict[str, Tensor]) -> None:
        for name, p in s.params.items():
            s.state[name].lerp_(grads[name], 1 - self.beta)
            p.sub_(s.lr * s.state[name].sign() - 0.01)


@dataclass(frozen=True)
class Cyclic(Rule):
    def learning_rate(self, s: TrainingState, rate: float) -> float:
        return rate * (1 - (s.step % s.steps_per_epoch) / s.steps_per_epoch)


@dataclass(frozen=True)
class Consistent(Rule):
    """A second view of each image gives the same answer, by two more passes through the network itself."""

    passes = 2

    def loss(self, s: TrainingState, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        return super().loss(s, logits, labels, images) + (s.forward(images.flip(3)) - logits).square().mean()


@dataclass(frozen=True)
class SharpAndGradual(SAM, Gradual):
    """Two rules in one, by inheritance."""


RULES = {
    "sam": SAM(0.1),
    "mixup": Mixup(1.0),
    "cutmix": CutMix(),
    "distillation": Distillation(),
    "own optimizer": SignDescent(),
    "own schedule": Cyclic(),
    "second view": Consistent(),
    "two rules": SharpAndGradual(0.7, every=2),
}


def teacher_of(t: Trajectory) -> dict[str, nn.Module]:
    state = begin(replace(t, start=replace(t.start, root=replace(t.start.root, stream=1))))
    return {"teacher": module_of(t.model, state).eval().requires_grad_(False)}


def trainer(kind: type[Trainer], t: Trajectory, state: State | None = None, at: int = 0) -> Trainer:
    return kind(t, state or begin(t), at, feed(t.clock.size), networks=teacher_of(t))


def ran(
    kind: type[Trainer], t: Trajectory, stops: Any = (), state: State | None = None, at: int = 0
) -> dict[int, State]:
    found: dict[int, State] = {}
    made = trainer(kind, t, state, at)
    made.run([*stops, t.clock.total], found.__setitem__)
    assert not getattr(made, "plain", False), "the graph trainer gave way"
    return found


def built(name: str, model: str = "conv-norm") -> tuple[Trajectory, State]:
    t = trajectory(model_of(model), rule=RULES[name], augment="crop-flip", label_smoothing=0.1)
    return t, begin(t) if isinstance(t.rule, Gradual) else masked(begin(t), half_mask(t))


@pytest.mark.parametrize("name", ["mlp-6", "conv-norm"])
@pytest.mark.parametrize("rule", [Defaults(), SAM(rho=0.0), Distillation(share=0.0)])
def test_hooks_that_change_nothing_change_no_bit(name: str, rule: Rule) -> None:
    t = trajectory(model_of(name), augment="crop-flip", label_smoothing=0.1, nesterov=True)
    start = masked(begin(t), half_mask(t))
    [plain], [hooked] = (ran(Trainer, each, state=start).values() for each in (t, replace(t, rule=rule)))
    assert bits(plain) == bits(hooked)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_hooks_go_with_any_optimizer(optimizer: str) -> None:
    t = trajectory(conv("conv-norm"), optimizer=optimizer, lr=0.01, rule=SAM(0.1))
    start = masked(begin(t), half_mask(t))
    [plain], [hooked] = (ran(Trainer, replace(t, rule=rule), state=start).values() for rule in (None, Defaults()))
    assert bits(plain) == bits(hooked)
    whole = ran(GraphTrainer, t, [4], start)
    assert bits(ran(Trainer, t, state=whole[4], at=4)[t.clock.total]) == bits(whole[t.clock.total]) != bits(plain)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_does_the_same_in_both_trainers_and_split_at_every_step(name: str) -> None:
    t, start = built(name)
    whole = ran(Trainer, t, range(1, t.clock.total), start)
    assert {k: bits(v) for k, v in ran(GraphTrainer, t, range(1, t.clock.total), start).items()} == {
        k: bits(v) for k, v in whole.items()
    }
    for stop in range(1, t.clock.total):
        half = whole[stop].raw or whole[stop]
        assert bits(ran(Trainer, t, state=half, at=stop)[t.clock.total]) == bits(whole[t.clock.total])
    plain = ran(Trainer, replace(t, rule=None), state=start)[t.clock.total]
    assert bits(plain)["params"] != bits(whole[t.clock.total])["params"]


@pytest.mark.parametrize("name", RULES)
def test_removed_weights_stay_plus_zero(name: str) -> None:
    t, start = built(name)
    for state in ran(Trainer, t, range(1, t.clock.total), start).values():
        for n, m in state.mask.items():
            removed = state.params[n][~m]
            assert removed.eq(0).all() and not removed.signbit().any()


@pytest.mark.parametrize("kind", [Trainer, GraphTrainer])
@pytest.mark.parametrize("name", RULES)
def test_passes_are_what_a_rule_declares(name: str, kind: type[Trainer]) -> None:
    t, start = built(name)
    made = trainer(kind, t, start)
    made.run([t.clock.total], lambda *_: None)
    assert made.seen == passes_of_rule(t.rule) * t.clock.examples(t.clock.total)


def loss_at(t: Trajectory, params: Mapping[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(torch.func.functional_call(module_of(t.model, begin(t)), params, (images,)), labels)


def test_sam_by_hand() -> None:
    t = trajectory(mlp("mlp-6"), rule=SAM(0.3), momentum=0.0, weight_decay=0.0)
    params, data, rho = {n: p.clone() for n, p in begin(t).params.items()}, feed(), 0.3

    def slope(at: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
        own = {n: p.clone().requires_grad_() for n, p in at.items()}
        return dict(zip(own, torch.autograd.grad(loss_at(t, own, *data.batch(index)), [*own.values()]), strict=True))

    for epoch in range(3):
        for index in data.epoch(t.clock, t.recipe, t.seed, t.order, epoch):
            g = slope(params, index)
            norm = torch.cat([p.flatten() for p in g.values()]).norm()
            g = slope({n: p + rho * g[n] / norm for n, p in params.items()}, index)
            params = {n: p - 0.1 * g[n] for n, p in params.items()}
    found = ran(Trainer, t)[t.clock.total].params
    assert all(torch.allclose(found[n], p, atol=1e-6) for n, p in params.items())


def test_distillation_from_itself_has_no_gradient() -> None:
    t = trajectory(mlp("mlp-6"), rule=Distillation(share=1.0), momentum=0.0, weight_decay=0.0)
    own = {"teacher": module_of(t.model, begin(t)).eval()}
    made = Trainer(t, begin(t), 0, feed(), networks=own)
    made.run([1], lambda *_: None)
    assert all(g.abs().max() < 1e-6 for g in made.current.grads.values())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6), rule=st.sampled_from([Mixup(0.5), CutMix(), CutMix(0.3)]))
def test_mixed_images_have_the_labels_of_their_pixels(seed: int, count: int, rule: Rule) -> None:
    """Each example is an image of its own constant value, so that the mean of a mixed one tells its shares."""
    s = TrainingState(lambda *_: {}, (0, 0), 1, 1)
    s.model, s.draws = mlp(), rule.draw(count, Generator().manual_seed(seed))
    labels = torch.arange(count) % 3
    images = torch.arange(count).float()[:, None, None, None].expand(-1, 1, 4, 4)
    mixed, soft = rule.batch(s, images, labels)
    other = s.draws["other"]
    assert torch.allclose(soft.sum(1), torch.ones(count)) and (soft >= 0).all()
    share = torch.where(labels == labels[other], 1.0, soft.gather(1, labels[:, None])[:, 0])
    known = labels != labels[other]
    expected = share * torch.arange(count) + (1 - share) * other
    assert torch.allclose(mixed.mean((1, 2, 3))[known], expected[known], atol=1e-5)


def test_a_schedule_of_ones_own_is_the_rate_of_every_step() -> None:
    t = trajectory(rule=Cyclic(), schedule="step", drops=(0.5,))
    plain, own = (trainer(Trainer, each).rates for each in (replace(t, rule=None), t))
    assert torch.allclose(own, plain * torch.tensor([1, 2 / 3, 1 / 3]).repeat(3))


@dataclass(frozen=True)
class Wrong(Rule):
    """A rule whose hooks return what they must not."""

    kind: str = ""

    def start(self, s: TrainingState) -> dict[str, Any]:
        return {"x": 1.0 if self.kind == "start" else torch.ones(1)}

    def draw(self, count: int, g: Generator) -> dict[str, Any]:
        return {"x": torch.rand(count, 2, generator=g)} if self.kind == "draw" else {}

    def batch(self, s: TrainingState, images: Tensor, labels: Tensor) -> Any:
        return (images, 3.0) if self.kind == "batch" else (images, labels)

    def loss(self, s: TrainingState, logits: Tensor, labels: Tensor, images: Tensor) -> Any:
        if self.kind == "network":
            s.forward(images, network="techer")
        if self.kind == "scores":
            s.select({"w": 1.0}, 0.5)  # type: ignore[dict-item]
        return 1.0 if self.kind == "loss" else super().loss(s, logits, labels, images)

    def gradient(self, s: TrainingState, at: GradientAt) -> dict[str, Tensor]:
        return {} if self.kind == "gradient" else at()

    def learning_rate(self, s: TrainingState, rate: float) -> float:
        return float("nan") if self.kind == "learning_rate" else rate

    def update(self, s: TrainingState, grads: dict[str, Tensor]) -> None:
        if self.kind == "update":
            s.state["x"] = s.state["x"] + 1
        s.descend(grads)


REASONS = {
    "start": r"Wrong\.start \(test_hooks\.py:\d+\) returned a float as 'x' where a tensor is wanted",
    "draw": r"Wrong\.draw \(test_hooks\.py:\d+\) returned \[8, 2\] as 'x'; return a tensor of shape \[count\], here \[8\]",
    "batch": r"Wrong\.batch \(test_hooks\.py:\d+\) returned a float where a tensor is wanted",
    "loss": r"Wrong\.loss \(test_hooks\.py:\d+\) returned a float where a tensor is wanted",
    "gradient": r"Wrong\.gradient \(test_hooks\.py:\d+\) returned no tensor for hidden\.0\.weight",
    "learning_rate": r"Wrong\.learning_rate \(test_hooks\.py:\d+\) returned nan; a learning rate is a finite number",
    "update": r"Wrong \(test_hooks\.py:\d+\) replaced s\.state\['x'\] inside a step; .*s\.state\['x'\]\.copy_",
    "network": r"There is no network 'techer'\. Did you mean 'teacher'\?",
    "scores": r"s\.select: the score of w is of type float; a tensor is wanted",
}


@pytest.mark.parametrize("kind", [Trainer, GraphTrainer])
@pytest.mark.parametrize("name", REASONS)
def test_a_wrong_value_is_refused_with_the_authors_line(name: str, kind: type[Trainer]) -> None:
    t = trajectory(rule=Wrong(name))
    with pytest.raises(MethodError, match=REASONS[name]):
        trainer(kind, t).run([t.clock.total], lambda *_: None)


@dataclass(frozen=True)
class Never(Rule):
    def after_step(self, s: TrainingState) -> None:
        s.set_mask({})


@dataclass(frozen=True)
class Named(Rule):
    loss: float  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Never(), r"Never\.after_step \(test_hooks\.py:\d+\) would never be called, .* write `every: int = 1`"),
        (Named(1.0), r"Named \(test_hooks\.py:\d+\) has a field named loss, which is the name of a hook"),
        (L1, r"is not an object of a Rule"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_before_it_trains(rule: Any, reason: str) -> None:
    with pytest.raises(MethodError, match=reason):
        check_rule(rule)


@pytest.mark.parametrize("passes", [0, 1.5, True, None])
def test_passes_are_a_whole_number(passes: Any) -> None:
    rule = Defaults()
    object.__setattr__(rule, "passes", passes)
    with pytest.raises(MethodError, match=re.escape(f"Defaults.passes is {passes!r} (test_hooks.py:")):
        passes_of_rule(rule)
