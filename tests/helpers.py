"""Small worlds for tests: a handful of examples, a tiny network, one training."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from lthbench.data import Examples, Manifest
from lthbench.methods.registry import Method
from lthbench.models import Model
from lthbench.pruning.lineage import Edit, Init, Lineage
from lthbench.pruning.state import State, edited, initial_state
from lthbench.pruning.tensors import digest
from lthbench.runs.plan.plan import outline, plan
from lthbench.runs.plan.totals import PlanTotals
from lthbench.suite import Suite
from lthbench.training.feed import Feed
from lthbench.training.recipe import Recipe
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory

SHAPE, CLASSES, SIZE = (1, 4, 4), 3, 22
WEIGHTS, BIASES = ("*.weight",), ("*.bias",)


def in_fresh_process(code: str, **environment: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


def mlp(name: str = "mlp-6", **changes: Any) -> Model:
    """A perceptron for the tiny examples; every weight matrix is prunable."""
    return replace(Model(name, SHAPE, CLASSES, WEIGHTS, BIASES), **changes)


class Convolutional(nn.Module):
    """A convolution, with batch-norm or dropout behind it as the name says, and a linear layer."""

    def __init__(self, name: str, shape: tuple[int, int, int], classes: int):
        super().__init__()
        self.conv = nn.Conv2d(shape[0], 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3) if "norm" in name else nn.Identity()
        self.drop = nn.Dropout(0.3) if "dropout" in name else nn.Identity()
        self.out = nn.Linear(3 * shape[1] * shape[2], classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.drop(self.norm(self.conv(images)).relu()).flatten(1))


FAMILY = (r"conv(-norm)?(-dropout)?", lambda name, shape, classes, width: Convolutional(name, shape, classes))


def conv(name: str) -> Model:
    """Needs FAMILY in lthbench.models.model.FAMILIES, which the fixture `conv_family` sees to."""
    return Model(name, SHAPE, CLASSES, ("conv.weight", "out.weight"), ("*.bias", "norm.weight"))


def examples(size: int = SIZE, seed: int = 0) -> Examples:
    """Random images with labels."""
    g = Generator().manual_seed(seed)
    channels, height, width = SHAPE
    images = torch.randint(0, 256, (size, height, width, channels), generator=g, dtype=torch.uint8)
    return Examples(images, torch.randint(0, CLASSES, (size,), generator=g))


def feed(size: int = SIZE, device: str = "cpu") -> Feed:
    """Random examples on a device."""
    manifest = Manifest("random", CLASSES, SHAPE, (127.0,), (74.0,), {"train": size}, {"train": ""})
    return Feed(examples(size), manifest, torch.device(device))


def start(model: Model, seed: int = 1) -> Lineage:
    return Lineage(Init(model, "kaiming-normal", seed, 0))


def trajectory(model: Model | None = None, size: int = SIZE, **changes: Any) -> Trajectory:
    """A training of three epochs of three steps, the last of which sees fewer examples; changes to it or its recipe."""
    ours = {name: changes.pop(name) for name in ("seed", "order", "rule", "allocation", "precision") if name in changes}
    recipe = Recipe(**({"epochs": 3, "batch": 8, "lr": 0.1, "weight_decay": 1e-3} | changes))
    plain = Trajectory(
        start(model or mlp()), 0, False, recipe, recipe.clock(size), "random", 0, "data", "fp32", seed=1, order=0
    )
    return replace(plain, **ours)


def begin(t: Trajectory) -> State:
    """The state that a trajectory of these tests starts from."""
    return initial_state(t.start.root)


def states(t: Trajectory, stops: Iterable[int], state: State | None = None, at: int = 0) -> dict[int, State]:
    """Trains, and gives the state at every stop."""
    found: dict[int, State] = {}
    Trainer(t, state or begin(t), at, feed(t.clock.size)).run(stops, found.__setitem__)
    return found


def trained(t: Trajectory, until: int | None = None) -> State:
    """The state at the end, or after so many steps."""
    stop = t.clock.total if until is None else until
    return states(t, [stop])[stop]


def masked(state: State, keep: dict[str, Tensor]) -> State:
    """As Network.masked has it."""
    return edited(state, [Edit("masked", "")], lambda _: keep)


def bits(state: State | None) -> Any:
    """Comparable; equal only where every tensor is the same bit for bit."""
    if state is None:
        return None
    parts = {part: getattr(state, part) for part in ("params", "buffers", "mask", "rule")} | state.slots
    return {part: {n: digest({n: t}) for n, t in tensors.items()} for part, tensors in parts.items()} | {
        "raw": bits(state.raw)
    }


def same_sums(suite: Suite, methods: Sequence[Method], manifests: Mapping[str, Manifest]) -> None:
    """Asserts that what is planned from one seed is what the whole plan adds up to, to the digit. What stays on disk may be
    less in the whole: masks that do not depend on the seed are there once."""
    names = ("methods", "count", "asked", "operations", "charged", "computed", "epochs", "states", "finals")

    def sums(totals: PlanTotals) -> dict[Any, Any]:
        return {name: getattr(totals, name) for name in names} | {live: totals.peak(live) for live in (1, 3, 8, 100)}

    short, long = outline(suite, methods, manifests), plan(suite, methods, manifests)
    assert sums(short) == sums(long)
    assert long.stays <= short.stays
