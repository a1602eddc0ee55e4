"""The graph trainer: it gives the bits of the reference trainer beside any other work, and falls back where capture
fails."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lthbench.models import FAMILIES
from lthbench.pruning.state import State
from lthbench.runs.workers.process_state import FairLock
from lthbench.training.gpu import graph_trainer
from lthbench.training.gpu.graph_trainer import GraphTrainer, Replay
from lthbench.training.rules import L1, Gradual, Rule, TrainingState
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests.helpers import FAMILY, Convolutional, begin, bits, conv, feed, masked, mlp, trained, trajectory
from tests.training.test_trainer import CASES, Hardened, Popup, Short, Wandering, built, half_mask

cuda = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICES = ["cpu", pytest.param("cuda", marks=cuda)]


class Wide(Convolutional):
    """A model with enough channels for the memory layout to matter, and two batch-norms."""

    def __init__(self, name: str, shape: tuple[int, int, int], classes: int):
        super().__init__(name, shape, classes)
        self.conv = torch.nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)
        self.norm = torch.nn.Sequential(torch.nn.BatchNorm2d(16), torch.nn.Conv2d(16, 8, 3, padding=1, bias=False))
        self.out = torch.nn.Linear(8 * shape[1] * shape[2], classes)


class Looking(Convolutional):
    """A model whose forward pass asks for a value, which no graph can hold."""

    def forward(self, images: Tensor) -> Tensor:
        scale = 1.0 if images.is_meta or images.sum().item() < 1e9 else 0.0
        return super().forward(images) * scale


@pytest.fixture(autouse=True)
def families(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(FAMILIES, "conv", FAMILY)
    monkeypatch.setitem(FAMILIES, "wide", ("wide-norm", lambda name, shape, classes, width: Wide(name, shape, classes)))
    monkeypatch.setitem(FAMILIES, "looking", ("looking", lambda n, shape, classes, width: Looking(n, shape, classes)))
    graph_trainer._warn.cache_clear()
    yield
    graph_trainer._warn.cache_clear()


@pytest.fixture(autouse=True)
def replays_read_what_they_were_made_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that replays read the tensors they were made on. A CPU's replay has no addresses, and would not notice
    another tensor."""
    make = GraphTrainer._made

    def made(self: GraphTrainer, size: int) -> Replay:
        replay, then = make(self, size), self._changing()

        def run() -> None:
            assert all(a is b for a, b in zip(then, self._changing(), strict=True))
            replay.run()

        return replay._replace(run=run)

    monkeypatch.setattr(GraphTrainer, "_made", made)


def wide() -> Any:
    return replace(
        conv("wide-norm"), prunable=("conv.weight", "norm.1.weight", "out.weight"), dense=("*.bias", "norm.0.weight")
    )


def via(
    kind: type[Trainer], t: Trajectory, *stops: int, state: State | None = None, at: int = 0, device: str = "cpu"
) -> dict[int, Any]:
    """Return the bits at every stop, by default at the end."""
    found: dict[int, State] = {}
    with closing(kind(t, state or begin(t), at, feed(t.clock.size, device))) as trainer:
        trainer.run(stops or [t.clock.total], found.__setitem__)
        assert getattr(trainer, "plain", trainer.draws) == trainer.draws, "a lane gave way without need"
    return {stop: bits(state) for stop, state in found.items()}


def equal(t: Trajectory, *stops: int, state: State | None = None, device: str = "cpu") -> None:
    lane, plain = (via(kind, t, *stops, state=state, device=device) for kind in (GraphTrainer, Trainer))
    assert lane == plain


EVERY = range(1, 10)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_a_lane_equals_the_reference_trainer(name: str, device: str) -> None:
    t = built(CASES[name])
    equal(t, device=device)
    equal(t, *[stop for stop in (2, 3, 7) if stop < t.clock.total], t.clock.total, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", [None, L1(0.01), Gradual(0.8, every=2), Wandering(), Popup(), Hardened(), Short()])
@pytest.mark.parametrize("name", ["wide-norm", "mlp-6"])
def test_rules_see_the_same_in_a_lane(name: str, rule: Rule | None, device: str) -> None:
    model = wide() if name == "wide-norm" else mlp(name)
    t = trajectory(model, rule=rule, augment="crop-flip-cutout", nesterov=True, label_smoothing=0.1)
    state = begin(t) if isinstance(rule, Gradual) else masked(begin(t), half_mask(t))
    equal(t, 4, 9, state=state, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", [None, Wandering(), Gradual(0.8, every=2)])
def test_a_lane_goes_on_where_another_one_stopped(rule: Rule | None, device: str) -> None:
    t = trajectory(wide(), rule=rule, augment="random-resized-crop-flip")
    states: dict[int, State] = {}
    with closing(GraphTrainer(t, begin(t), 0, feed(device=device))) as lane:
        lane.run(EVERY, states.__setitem__)
    whole = bits(states[9])
    for stop in range(1, 9):
        assert via(GraphTrainer, t, 9, state=states[stop], at=stop, device=device)[9] == whole


@dataclass(frozen=True)
class Careless(Rule):
    """A rule that replaces the training's tensors, also by tensors of another shape."""

    every: int = 2

    def start(self, s: TrainingState) -> dict[str, Tensor]:
        return {"pull": torch.zeros_like(s.params["out.weight"]), "seen": torch.zeros(0, device=s.lr.device)}

    def penalty(self, s: TrainingState) -> Tensor:
        return (s.state["pull"] * s.params["out.weight"]).sum() + 0.01 * s.state["seen"].sum() * s.params[
            "out.bias"
        ].sum()

    def after_step(self, s: TrainingState) -> None:
        s.state["pull"] = s.params["out.weight"].detach().sign() * 0.01
        s.state["seen"] = torch.cat([s.state["seen"], s.lr[None]])
        s.mask["out.weight"] = s.params["out.weight"].abs() > 0.01
        s.momentum["out.weight"] = s.momentum["out.weight"] * s.mask["out.weight"]


@pytest.mark.parametrize("device", DEVICES)
def test_tensors_that_a_rule_replaces_are_used(device: str) -> None:
    t = trajectory(rule=Careless())
    equal(t, device=device)
    without = trained(trajectory()).params["out.weight"]
    assert not torch.equal(trained(t).params["out.weight"], without)


@dataclass(frozen=True)
class Dated(Rule):
    """A penalty that grows with the step, which one recorded step cannot express."""

    def penalty(self, s: TrainingState) -> Tensor:
        return 0.001 * s.step * s.params["out.weight"].square().sum()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("t", "why"),
    [
        ({"model": "conv-dropout"}, "its module draws random numbers"),
        ({"rule": Dated()}, "a hook that is part of every step must not read `step`"),
    ],
    ids=["dropout", "a penalty by step"],
)
def test_what_cannot_be_captured_is_trained_by_the_plain_loop_with_one_warning(
    t: dict[str, Any], why: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    plain = via(Trainer, built(t), device=device)
    for _ in range(2):
        found: dict[int, State] = {}
        with closing(GraphTrainer(built(t), begin(built(t)), 0, feed(device=device))) as lane:
            lane.run([9], found.__setitem__)
        assert lane.plain
        assert bits(found[9]) == plain[9]
    assert [why in message for message in caplog.messages] == [True]


def test_a_step_that_fails_fails_in_a_lane_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, images: Tensor) -> Tensor:
        raise RuntimeError("no such layer")

    t = trajectory(conv("conv"))
    lane = GraphTrainer(t, begin(t), 0, feed())
    monkeypatch.setattr(Convolutional, "forward", broken)
    with pytest.raises(RuntimeError, match="no such layer"):
        lane.run([9], lambda *_: None)


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
def test_a_lane_without_room_raises_and_has_changed_nothing(fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    t = trajectory(wide(), rule=Wandering())
    lane, programs = GraphTrainer(t, begin(t), 0, feed()), []
    before, program = bits(lane.snapshot()), GraphTrainer._program

    def out_of_memory(self: GraphTrainer, size: int) -> None:
        if len(programs) == fails_at:
            raise torch.OutOfMemoryError("out of memory")
        programs.append(size)
        program(self, size)

    monkeypatch.setattr(GraphTrainer, "_program", out_of_memory)
    with pytest.raises(torch.OutOfMemoryError):
        lane.prepare()
    assert bits(lane.snapshot()) == before


def test_preparing_changes_nothing() -> None:
    t = trajectory(wide(), rule=Wandering())
    prepared, found = GraphTrainer(t, begin(t), 0, feed()), {}
    before = bits(prepared.snapshot())
    prepared.prepare()
    assert bits(prepared.snapshot()) == before
    assert sorted(prepared.replays) == [6, 8]
    prepared.run([9], found.__setitem__)
    assert bits(found[9]) == via(Trainer, t)[9]


def test_a_cpu_has_the_plain_trainer() -> None:
    t = trajectory()
    assert type(graph_trainer.trainer(t, begin(t), 0, feed())) is Trainer


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnAGpu:
    def test_the_graphs_are_there(self) -> None:
        t = trajectory(wide())
        with closing(graph_trainer.trainer(t, begin(t), 0, feed(device="cuda"))) as lane:
            assert isinstance(lane, GraphTrainer)
            assert lane.prepare() > 0
            assert sorted(lane.replays) == [6, 8] and all(replay.grads for replay in lane.replays.values())

    def test_neighbours_do_not_matter(self) -> None:
        data, turns = feed(device="cuda"), FairLock()
        ts = [trajectory(wide(), seed=1, augment="crop-flip", precision="bf16", epochs=20)]
        ts += [trajectory(wide(), seed=s, rule=Wandering(), precision="bf16", epochs=20) for s in range(2, 9)]

        def ended(t: Trajectory) -> Any:
            found: dict[int, State] = {}
            with turns:
                lane = GraphTrainer(t, begin(t), 0, data, lambda: turns)
                lane.prepare()
            with closing(lane):
                lane.run([t.clock.total], found.__setitem__)
            return bits(found[t.clock.total])

        alone = ended(ts[0])
        with ThreadPoolExecutor(8) as threads:
            beside = list(threads.map(ended, ts))
        assert beside[0] == alone

    def test_a_forward_pass_that_looks_at_a_value_is_not_captured(self, caplog: pytest.LogCaptureFixture) -> None:
        t, found = trajectory(conv("looking")), {}
        with closing(GraphTrainer(t, begin(t), 0, feed(device="cuda"))) as lane:
            lane.run([9], found.__setitem__)
        assert lane.plain and len(caplog.messages) == 1
        assert bits(found[9]) == via(Trainer, t, device="cuda")[9]
