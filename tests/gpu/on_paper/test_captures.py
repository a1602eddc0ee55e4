"""Captures: every rule, augmentation and model family is captured, or refused by name, and failures leave nothing behind."""

from contextlib import closing
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lthbench.errors import MethodError
from lthbench.pruning.state import initial_state
from lthbench.training.augment import AUGMENTATIONS
from lthbench.training.gpu import graph_trainer
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.kernels.program import VARIABLE
from lthbench.training.rules import (
    ADMM,
    L1,
    SET,
    EdgePopup,
    Gradual,
    GraNet,
    Movement,
    NeuronPopup,
    RigL,
    Rule,
    Slimming,
    TrainingState,
)  # fmt: skip
from lthbench.training.trainer import Trainer
from tests.gpu.paper import books
from tests.gpu.traffic import of_step
from tests.gpu.trainings import feed, lane, trajectory

pytestmark = pytest.mark.cuda

RULES = [
    L1(1e-4), Slimming(), Gradual(0.8, every=2), SET(every=2), RigL(every=2), GraNet(0.8, every=2), ADMM(0.5, every=2),
    Movement(0.5, every=2), EdgePopup(0.5), NeuronPopup(0.5),
]  # fmt: skip
MODELS = [
    "mlp-300-100", "conv2", "conv4", "vgg11", "resnet8", "resnet18-w0.25", "mobilenet-v1", "mobilenet-v2", "timm:vit_tiny_patch16_224",
]  # fmt: skip
MOST_NODES = {
    ("resnet20", "bf16"): 190,
    ("resnet20", "fp32"): 184,
    ("vgg16", "bf16"): 139,
    ("mobilenet-v2", "bf16"): 408,
    ("vit-64-4-4", "bf16"): 295,
}
"""The kernels of one step on full batches. A change may lower these numbers and not raise them."""
MOST_PASSES = {"resnet20": 16.6, "mobilenet-v2": 13.8}
"""How often a step in bf16 reads or writes all of its maps."""


@pytest.fixture(autouse=True)
def warnings_anew() -> None:
    graph_trainer._warn.cache_clear()


def captured(name: str, rule: Rule | None = None, size: int = 24, **changes: object) -> list[list[str]]:
    """Train with graphs to the end, on this number of images. Returns the nodes of the graphs."""
    data = feed(size)
    t = trajectory(name, data, rule, **changes)  # type: ignore[arg-type]
    with closing(lane(t, data)) as one:
        one.prepare()
        one.run([t.clock.total], lambda *_: None)
        assert not one.plain
    assert not [node for graph in books.graphs() for node in graph if "pageable" in node]
    return books.graphs()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_is_captured(rule: Rule) -> None:
    captured("resnet8", rule)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_every_augmentation_is_captured(augment: str) -> None:
    captured("mlp-8", augment=augment, label_smoothing=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_every_family_is_captured(name: str) -> None:
    captured(name)


@pytest.mark.parametrize(("name", "precision"), MOST_NODES)
def test_a_step_has_no_more_kernels_than_before(name: str, precision: str) -> None:
    full, _ = captured(name, precision=precision)
    assert len(full) <= MOST_NODES[name, precision]


@pytest.mark.parametrize("name", MOST_PASSES)
def test_a_step_passes_over_its_maps_no_more_often_than_before(name: str) -> None:
    assert of_step(name, "bf16").passes <= MOST_PASSES[name]


def test_the_compiled_program_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = captured("mlp-8")
    books.clear()
    monkeypatch.setenv(VARIABLE, "compiled")
    (full,) = captured("mlp-8", size=16)
    assert len(full) < len(plain)
    assert any(node.startswith("triton_") for node in full)


@dataclass(frozen=True)
class Asking(Rule):
    """A rule that asks for a value inside the step."""

    def penalty(self, s: TrainingState) -> Tensor:
        return s.params[s.prunable[0]].square().sum() * (1.0 if s.lr.item() < 9 else 0.0)


@dataclass(frozen=True)
class Raising(Rule):
    """A rule that raises where a capture is under way."""

    def penalty(self, s: TrainingState) -> Tensor:
        if s.lr.is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("not in a capture")
        return s.params[s.prunable[0]].square().sum()


@dataclass(frozen=True)
class Waiting(Rule):
    """A rule that waits for the device in the capture alone, where no rehearsal sees it."""

    def penalty(self, s: TrainingState) -> Tensor:
        if s.lr.is_cuda and torch.cuda.is_current_stream_capturing():
            s.lr.item()
        return s.params[s.prunable[0]].square().sum()


def healthy() -> None:
    """A training with dropout, which draws on the device, and one with graphs."""
    data = feed()
    for name in ("timm:mobilenetv3_small_050", "mlp-8"):
        t = trajectory(name, data)
        with closing(lane(t, data)) as one:
            one.run([t.clock.total], lambda *_: None)
            assert one.plain == one.draws


@pytest.mark.parametrize(
    ("rule", "why"), [(Asking(), "synchronizing"), (Raising(), "not in a capture")], ids=["asks", "raises"]
)
def test_a_step_that_cannot_be_captured_leaves_a_healthy_process(
    rule: Rule, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = feed()
    t = trajectory("mlp-8", data, rule)
    with closing(lane(t, data)) as one:
        one.run([t.clock.total], lambda *_: None)
        assert one.plain and not one.spoilt
    assert why in caplog.text
    healthy()


@pytest.mark.parametrize("kind", [GraphTrainer, Trainer])
def test_what_has_no_deterministic_implementation_is_refused_by_name(kind: type[Trainer]) -> None:
    data = feed(shape=(3, 64, 64))
    t = trajectory("torchvision:alexnet", data)
    with (
        pytest.raises(
            MethodError, match="^adaptive_avg_pool2d_backward_cuda has no deterministic implementation on cuda"
        ),
        closing(kind(t, initial_state(t.start.root), 0, data)) as one,  # type: ignore[arg-type]
    ):
        one.run([1], lambda *_: None)


def test_an_invalidated_capture_spoils_the_process_and_fails_nothing() -> None:
    data = feed()
    t = trajectory("mlp-8", data, Waiting())
    with closing(lane(t, data)) as one:
        assert one.run([t.clock.total], lambda *_: None) == t.clock.total
        assert one.plain and one.spoilt
    assert books.trouble()
    books.clear()
