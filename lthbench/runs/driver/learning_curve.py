"""The learning curve of the training that a network ends, from the store to the record."""

import math
from typing import Any

from lthbench.methods.network import Network, origin_of
from lthbench.runs.store.curve import Curve
from lthbench.training.trajectory import Trajectory


def ended_by(net: Network) -> Trajectory | None:
    """Return the training whose last state is this network. None for one that was edited afterwards, or not trained."""
    origin = origin_of(net)
    return None if origin.lineage.edits else origin.trajectory


def on_record(trajectory: Trajectory, curve: Curve) -> dict[str, Any]:
    """Return a curve as it stands on the record: with six digits, and None for what is not finite."""
    return {
        "first": trajectory.first,
        "epoch": trajectory.clock.steps_per_epoch,
        "losses": [_short(loss) for loss in curve.losses],
        "points": [(step, _short(loss), right) for step, loss, right in curve.points],
        "held_out": trajectory.validation,
    }


def _short(number: float) -> float | None:
    return float(f"{number:.6g}") if math.isfinite(number) else None
