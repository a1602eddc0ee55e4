"""The watch over steps: on a CPU it names the line of a rule that no CUDA graph can hold."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lthbench.training.gpu.watch import watching_steps
from lthbench.training.rules import Rule, TrainingState
from lthbench.training.step import Step
from lthbench.training.trainer import Trainer
from tests.helpers import begin, bits, feed, mlp, trained, trajectory

HERE = Path(__file__)


@dataclass(frozen=True)
class Value(Rule):
    """A rule that asks for a value."""

    def penalty(self, s: TrainingState) -> Tensor:
        scale = s.params["out.weight"].detach().norm().item()  # asks for a value
        return scale * s.params["out.weight"].square().sum()


@dataclass(frozen=True)
class Masked(Rule):
    """A rule that selects by a mask."""

    def penalty(self, s: TrainingState) -> Tensor:
        w = s.params["out.weight"]
        return 0.01 * w[w.detach() > 0].sum()  # selects by a mask


@dataclass(frozen=True)
class Number(Rule):
    """A rule that assigns a Python number to chosen elements."""

    def penalty(self, s: TrainingState) -> Tensor:
        w = s.params["out.weight"]
        kept = torch.zeros_like(w[0])
        kept[torch.arange(2)] = 1.0  # makes a tensor of a Python number
        return 0.01 * (w * kept).sum()


@dataclass(frozen=True)
class Fine(Rule):
    """A rule that looks at values between two steps alone."""

    every: int = 2

    def penalty(self, s: TrainingState) -> Tensor:
        return 0.01 * s.params["out.weight"].square().sum()

    def after_step(self, s: TrainingState) -> None:
        s.params["out.weight"].norm().item()


def line(rule: Rule) -> list[str]:
    """Return what the comment on a line of a rule says that the watch should find."""
    text = HERE.read_text().splitlines()
    first = next(n for n, t in enumerate(text) if t.startswith(f"class {type(rule).__name__}("))
    marked = (n for n in range(first, len(text)) if "  # " in text[n] and "def line" not in text[n])
    number = next(marked)
    return [f"line {number + 1} {text[number].partition('  # ')[2]}"]


@pytest.mark.parametrize("rule", [Value(), Masked(), Number()], ids=lambda rule: type(rule).__name__)
def test_the_line_that_no_graph_can_hold_is_named(rule: Rule) -> None:
    with watching_steps(HERE) as found:
        trained(trajectory(mlp(), rule=rule), until=2)
    assert list(found) == line(rule)


def test_what_a_rule_does_between_steps_is_allowed() -> None:
    with watching_steps(HERE) as found:
        trained(trajectory(mlp(), rule=Fine()))
    assert not found


def test_watching_changes_no_bit_and_ends() -> None:
    t, step = trajectory(mlp(), rule=Value()), Step.__call__
    with watching_steps(HERE):
        watched = trained(t)
    assert bits(watched) == bits(trained(t))
    assert Step.__call__ is step
    with watching_steps(Path("another.py")) as found:
        Trainer(t, begin(t), 0, feed()).run([1], lambda *_: None)
    assert not found
