"""Models to test: every family of lthbench's own, a few of the libraries', and one short training for any of them."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Generator

from lthbench.data import Examples, Manifest
from lthbench.models import Model
from lthbench.pruning.lineage import Init, Lineage
from lthbench.pruning.state import State, initial_state
from lthbench.training.feed import Feed
from lthbench.training.recipe import Recipe
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory

CIFAR, MNIST, DIGITS, TINY = (3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 64, 64)
IMAGENET_RESNETS = ("resnet18", "resnet34", "resnet50")
OWN = (
    *("mlp-300-100", "vit-64-3-2", "conv2", "conv4", "conv6", "conv8", "mobilenet-v1", "mobilenet-v2"),
    *(f"resnet{depth}" for depth in (8, 14, 20, 32, 44, 56, 110)),
    *(f"vgg{depth}" for depth in (11, 13, 16, 19)),
    *IMAGENET_RESNETS,
)
LIBRARY = ("timm:resnet10t", "timm:test_vit", "timm:mobilenetv3_small_050", "torchvision:regnet_y_400mf")


def model(name: str, shape: tuple[int, int, int] = CIFAR, prunable: str = "all", **more: Any) -> Model:
    """A model with ten classes; ResNets for ImageNet get a CIFAR stem unless another is asked for."""
    base = name.split("-w")[0]
    return Model(name, shape, 10, prunable, **({"stem": "cifar"} if base in IMAGENET_RESNETS else {}) | more)


def feed(m: Model, size: int = 6) -> Feed:
    """Random examples for a model."""
    g = Generator().manual_seed(0)
    channels, height, width = m.shape
    images = torch.randint(0, 256, (size, height, width, channels), generator=g, dtype=torch.uint8)
    examples = Examples(images, torch.randint(0, m.classes, (size,), generator=g))
    manifest = Manifest(
        "random", m.classes, m.shape, (127.0,) * channels, (74.0,) * channels, {"train": size}, {"train": ""}
    )
    return Feed(examples, manifest, torch.device("cpu"))


def trained(m: Model, scheme: str = "kaiming-normal") -> tuple[State, State]:
    """The states before and after two steps of three examples each."""
    recipe, start = Recipe(epochs=1, batch=3, lr=0.01), Init(m, scheme, 1, 0)
    trajectory = Trajectory(
        Lineage(start), 0, False, recipe, recipe.clock(6), "random", 0, "data", "fp32", seed=1, order=0
    )
    before, after = initial_state(start), {}
    Trainer(trajectory, before, 0, feed(m)).run([2], after.__setitem__)
    return before, after[2]


def leaves_generators_alone(action: Callable[[], object]) -> bool:
    """Whether an action draws from no global generator, nor moves the default dtype."""

    def standing() -> list[object]:
        return [
            torch.get_rng_state().tolist(),
            random.getstate(),
            str(np.random.get_state()),
            torch.get_default_dtype(),
        ]

    before = standing()
    action()
    return standing() == before
