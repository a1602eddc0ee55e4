"""Weights that are cast ahead give the bits that autocast gives."""

import pytest
import torch

from lthbench.training import step as steps
from lthbench.training.rules import SAM, Gradual, Rule
from lthbench.training.trainer import Trainer
from tests.gpu.trainings import feed, start, trajectory
from tests.helpers import bits

CPU = torch.device("cpu")


def trained(name: str, rule: Rule | None, ahead: bool, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    data, made = feed(device=CPU), []
    monkeypatch.setattr(steps, "casts_ahead", lambda trajectory, device: ahead)
    t = trajectory(name, data, rule)
    Trainer(t, start(t), 0, data).run([t.clock.total], lambda step, state: made.append(state))
    return bits(made[0])


@pytest.mark.parametrize("rule", [None, Gradual(0.8, every=2), SAM()], ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("name", ["mlp-30-20", "resnet8-w0.5", "vit-32-1-8"])
def test_the_same_bits_as_autocast(name: str, rule: Rule | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(name, rule, True, monkeypatch) == trained(name, rule, False, monkeypatch)
