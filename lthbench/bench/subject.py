"""The subject of a measurement: trainings of one workload, requested as a run requests them."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from lthbench.data import DataHome, Examples, Manifest, prepare
from lthbench.data.packed.examples import pack
from lthbench.errors import InputError
from lthbench.methods.internals.context import RunContext
from lthbench.methods.internals.setting import Setting
from lthbench.methods.network import origin_of
from lthbench.methods.run import Run
from lthbench.models import Model, own
from lthbench.suite import Suite
from lthbench.suite.workload import Workload
from lthbench.training.recipe import Recipe
from lthbench.training.trajectory import Trajectory

SYNTHETIC = "synthetic"  # a data set of random images, drawn into a folder of its own on request
SIZE = {"cpu": 4096, "cuda": 50_000}  # the number of its training images
STEPS = 10**5  # of a training: more than are timed; each worker computes the learning rates of all


@dataclass(frozen=True)
class Subject:
    """A workload on a device. `name` is MODEL/DATASET, and `scratch` is a folder for random images."""

    name: str
    stem: str
    batch: int
    precision: str
    augment: str
    device: torch.device
    data: Path
    scratch: Path

    @cached_property
    def home(self) -> DataHome:
        """Return the home of its data set, which is packed first if needed."""
        if self.dataset != SYNTHETIC:
            return DataHome(self.data)
        pack(self.scratch / SYNTHETIC, SYNTHETIC, {"train": _noise(SIZE.get(self.device.type, 50_000))}, 10)
        return DataHome(self.scratch)

    @cached_property
    def setting(self) -> Setting:
        """Return the setting of a cell, in a suite made for this measurement."""
        manifest: Manifest = prepare(self.home, self.dataset)
        named = {"model": self._model, "dataset": self.dataset, "stem": self.stem, "prunable": "all"}
        workload = Workload.model_validate(named).beside(Path.cwd())
        recipe = Recipe(
            epochs=1 + STEPS * self.batch // manifest.sizes["train"],
            batch=self.batch,
            lr=0.1,
            weight_decay=1e-4,
            augment=self.augment,
        )
        rest: dict[str, Any] = {"methods": ("bench",), "learning_rates": (0.1,), "sparsities": (0.0,), "seeds": 16}
        suite = Suite(name="bench", version="0.0", workload=(workload,), budget="none", validation=0,
                      precision=self.precision, recipe=recipe, **rest)  # fmt: skip
        return Setting(suite, suite.cells()[0], manifest)

    @property
    def model(self) -> Model:
        return self.setting.model

    def trajectory(self, order: int = 0) -> Trajectory:
        """Return a training from initialisation. Each `order` gives another one."""
        run = Run(RunContext(self.setting, _Nobody()))
        trajectory = origin_of(run.train(run.init(), order=order)).trajectory
        assert trajectory is not None
        return trajectory

    @property
    def _model(self) -> str:
        return self._parts[0]

    @property
    def dataset(self) -> str:
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        parts = re.fullmatch(rf"(?P<model>{own.WRITTEN.pattern}|[^/]+)/(?P<dataset>.+)", self.name)
        if not parts:
            raise InputError(f"{self.name!r} is not a workload; write MODEL/DATASET, for example resnet20/cifar10-jpeg")
        return parts["model"], parts["dataset"]


class _Nobody:
    """An engine that does nothing. It stands in for a driver, since only the requests of a run are needed."""

    def train(self, context: RunContext, trajectory: Trajectory, stop: int) -> int:
        return stop

    def _never(self, *_: Any) -> Any:
        raise NotImplementedError("a speed measurement only trains")

    measure = validate = load = _never


def _noise(count: int) -> Examples:
    g = Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 32, 32, 3), generator=g, dtype=torch.uint8)
    return Examples(images, torch.arange(count) % 10)
