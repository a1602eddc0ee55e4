"""Hours and cost of a plan, from speed measurements on this device."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lthbench.bench.measurement import Measurement
from lthbench.models import Model
from lthbench.models.cost import multiplications
from lthbench.suite import Suite
from lthbench.suite.workload import Workload
from lthbench.training.kernels.program import program

FAR = 20.0  # a factor in multiplications: beyond it, time is no longer proportional to them


@dataclass(frozen=True)
class Estimate:
    """The estimate for a workload.

    `epoch` is the seconds that one device needs for one epoch when `lanes` trainings run side by side. It is None if
    nothing comparable was timed. `basis` names the measurement.
    """

    workload: str
    epochs: float
    epoch: float | None
    basis: str
    lanes: int = 1

    @property
    def hours(self) -> float | None:
        """Return the hours that one device needs for the trainings of the workload."""
        return None if self.epoch is None else self.epochs * self.epoch / 3600


def estimate(
    suite: Suite, workload: Workload, model: Model, size: int, epochs: float, found: Sequence[Measurement]
) -> Estimate:
    """Estimate from a measurement of the workload's model, or else of the model nearest in multiplications, scaled by
    them, by the program that trains here.

    `size` is the number of images in an epoch. The estimate does not include evaluations, the cost of a training beyond
    its steps, and the cost that rules and bases add to a step.
    """
    work = multiplications(model, {})[1]
    ours = [m for m in found if m.program in ("", program(torch.device(m.device))) and m.precision == suite.precision]
    close = [m for m in ours if 1 / FAR < work / m.multiplications < FAR]
    nearest = min(
        close,
        key=lambda m: (
            not _same(m, model),
            m.batch != suite.recipe.batch,
            m.augment != suite.recipe.augment,
            abs(math.log(m.multiplications / work)),
            not m.program,
        ),
        default=None,
    )
    if nearest is None:
        return Estimate(workload.name, epochs, None, f"unknown; type: {_command(suite, workload)}")
    scale = 1.0 if _same(nearest, model) else work / nearest.multiplications
    epoch = size * nearest.image * scale
    return Estimate(workload.name, epochs, epoch, _basis(nearest, scale, suite), nearest.best.lanes)


def _same(found: Measurement, model: Model) -> bool:
    return (found.model, found.stem, found.shape) == (model.name, model.stem, model.shape)


def _basis(found: Measurement, scale: float, suite: Suite) -> str:
    basis = f"speed of {found.workload}, {found.best.lanes} side by side"
    if found.batch != suite.recipe.batch:
        basis += f", at batch {found.batch}"
    if found.augment != suite.recipe.augment:
        basis += f", augmentation {found.augment}"
    return basis if scale == 1 else f"{basis}, times {scale:.3g} for the multiplications"


def _command(suite: Suite, workload: Workload) -> str:
    stem = f" --stem {workload.stem}" if workload.stem else ""
    batch = f" --batch {suite.recipe.batch}" if suite.recipe.batch != 128 else ""
    augment = f" --augment {suite.recipe.augment}" if suite.recipe.augment != "crop-flip" else ""
    return f"lthbench speed {workload.model}/{workload.dataset} --precision {suite.precision}{stem}{batch}{augment}"
