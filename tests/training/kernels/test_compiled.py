"""The compiled program: wired up by a compiler that changes no bit, and once by torch's own for a CPU."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from lthbench.errors import MethodError
from lthbench.models import FAMILIES, Model
from lthbench.training import step as steps
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.kernels import program as programs
from lthbench.training.rules import L1, SAM, EdgePopup, Rule, TrainingState
from lthbench.training.trajectory import Trajectory
from tests.helpers import FAMILY, Convolutional, begin, bits, conv, feed, mlp, trained, trajectory

compiler = pytest.importorskip("lthbench.training.kernels.compiled", reason="torch has no compiler here")
COUNTED: list[int] = []


def eager(graph: torch.fx.GraphModule, images: list[Tensor]) -> object:
    """A compiler that notes that it was called and runs torch's operations."""
    COUNTED.append(1)
    return graph.forward


@dataclass(frozen=True)
class Authors(Rule):
    """A rule that is not lthbench's."""

    def penalty(self, s: TrainingState) -> Tensor:
        return 1e-3 * s.params[s.prunable[0]].square().sum()


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Choose the compiled program for a CPU, which has none otherwise."""
    monkeypatch.setitem(FAMILIES, "conv", FAMILY)
    monkeypatch.setattr(compiler, "BACKEND", eager)
    torch._dynamo.reset()
    COUNTED.clear()
    yield
    torch._dynamo.reset()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "program", lambda device: "compiled")


def by_graph(t: Trajectory) -> dict[str, object]:
    found = {}
    with closing(GraphTrainer(t, begin(t), 0, feed(t.clock.size))) as trainer:
        trainer.prepare()
        trainer.run([t.clock.total], found.__setitem__)
        assert not trainer.plain
    return bits(found[t.clock.total])


RULES = [None, L1(1e-3), SAM(0.05), EdgePopup(0.5)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_is_the_reference_where_the_compiler_changes_nothing(
    rule: Rule | None, precision: str, request: pytest.FixtureRequest
) -> None:
    t = replace(trajectory(conv("conv-norm"), shards=2 if rule is None else 1), rule=rule, precision=precision)
    plain = bits(trained(t))
    assert not COUNTED
    request.getfixturevalue("compiled")
    assert bits(trained(t)) == by_graph(t) == plain
    assert COUNTED


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("train", [trained, by_graph])
@pytest.mark.parametrize("model", [mlp(), conv("conv-norm")], ids=["mlp", "conv-norm"])
def test_what_is_compiled_serves_every_training_of_its_kind(
    train: Callable[[Trajectory], object], model: Model
) -> None:
    train(trajectory(model, seed=1))
    first = len(COUNTED)
    for seed in range(2, 5):
        train(trajectory(model, seed=seed))
    with ThreadPoolExecutor(1) as other:
        other.submit(train, trajectory(model, seed=6)).result()
    assert len(COUNTED) == first


@pytest.mark.usefixtures("compiled")
def test_more_kinds_than_torch_keeps_by_default_are_compiled() -> None:
    for width in range(3, 15):
        trained(trajectory(mlp(f"mlp-{width}"), epochs=1))
    assert len(COUNTED) >= 12


@pytest.mark.usefixtures("compiled")
def test_the_rule_of_an_author_is_computed_by_operations_that_can_be_counted() -> None:
    trained(replace(trajectory(mlp()), rule=Authors()))
    assert not COUNTED


class Breaking(Convolutional):
    """A model that no compiler can take whole."""

    def forward(self, images: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return super().forward(images)


@pytest.mark.usefixtures("compiled")
def test_what_cannot_be_compiled_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    family = ("breaking", lambda name, shape, classes, width: Breaking(name, shape, classes))
    monkeypatch.setitem(FAMILIES, "breaking", family)
    with pytest.raises(MethodError, match="^the compiled program of .*; set LTHBENCH_PROGRAM=reference") as told:
        trained(trajectory(replace(conv("conv"), name="breaking")))
    assert "\n" not in str(told.value)


@pytest.mark.usefixtures("compiled")
def test_torchs_compiler_gives_the_same_bits_twice_and_the_references_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "BACKEND", "inductor")
    t = trajectory(conv("conv-norm"), size=16)  # batches of one size
    found = trained(t)
    assert bits(trained(t)) == bits(found) == by_graph(t)
    monkeypatch.setattr(steps, "forward", lambda module, device: programs.by_torch(module))
    for name, w in trained(t).params.items():
        torch.testing.assert_close(found.params[name], w, rtol=1e-4, atol=1e-5)
