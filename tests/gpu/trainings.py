"""Trainings for tests on a GPU, on paper or not."""

from dataclasses import replace
from typing import Any

import torch
from torch import Generator

from lthbench.data import Examples, Manifest
from lthbench.models import Model
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.state import State, initial_state
from lthbench.training.feed import Feed
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.recipe import Recipe
from lthbench.training.rules import Rule
from lthbench.training.trainer import Turn
from lthbench.training.trajectory import Trajectory

DEVICE = torch.device("cuda")
IMAGE = (3, 32, 32)


def feed(size: int = 24, shape: tuple[int, int, int] = IMAGE, device: torch.device = DEVICE) -> Feed:
    """Return random images of ten classes on the device."""
    g, (channels, height, width) = Generator().manual_seed(0), shape
    images = torch.randint(0, 256, (size, height, width, channels), generator=g, dtype=torch.uint8)
    manifest = Manifest("random", 10, shape, (127.0,) * channels, (74.0,) * channels, {"train": size}, {"train": ""})
    return Feed(Examples(images, torch.arange(size) % 10), manifest, device)


def trajectory(
    name: str, data: Feed, rule: Rule | None = None, precision: str = "bf16", seed: int = 0, **recipe: Any
) -> Trajectory:
    """Return a training of a model on these images, of two epochs of batches of 16 unless the recipe says otherwise."""
    shape = tuple(data.images.shape[1:])
    model = Model(name, shape, 10, "all")
    values = Recipe(**{"epochs": 2, "batch": 16, "lr": 0.1, "weight_decay": 1e-4, "augment": "crop-flip"} | recipe)
    scheme = "library" if ":" in name else "kaiming-normal"
    start = Lineage(Init(model, scheme, 1, 0))
    clock = values.clock(len(data))
    return replace(
        Trajectory(start, 0, False, values, clock, "random", 0, "data", precision, seed=seed, order=0), rule=rule
    )


def start(t: Trajectory) -> State:
    """Return the state that a training starts from."""
    return initial_state(t.start.root)  # type: ignore[arg-type]


def lane(t: Trajectory, data: Feed, *turn: Turn) -> GraphTrainer:
    """Return a graph trainer at the start of a training."""
    return GraphTrainer(t, start(t), 0, data, *turn)
