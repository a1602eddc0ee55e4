"""A measurement as a table."""

from collections.abc import Iterator
from typing import Any

from lthbench.bench.measurement import Measurement
from lthbench.bench.step import OURS, PLAIN

HEADERS = ["what", "network-epochs per second", "seconds each", "times plain loop", "of the floor"]


def rows(found: Measurement) -> Iterator[tuple[Any, ...]]:
    """Yield rows for the floor, the plain loop, one training at a time, and each number of trainings side by side."""
    cores = found.device == "cpu"

    def row(what: str, rate: float, floors: int = 1) -> tuple[Any, ...]:
        return what, rate, 1 / rate, rate * found.plain, f"{rate * found.floor / floors:.1%}"

    yield row("floor" + " of a core" * cores, 1 / found.floor)
    yield row(PLAIN, 1 / found.plain)
    name, rate, each, _, share = row(OURS, 1 / found.ours)
    yield name, rate, each, 1 / found.ratio, share
    for speed in found.speeds:
        what = "processes of one thread" if cores else "lanes"
        yield row(f"{speed.lanes} {what}", speed.epochs_per_second, speed.lanes if cores else 1)


def words(found: Measurement) -> str:
    """Describe the workload, the device, and the shares of a step."""
    parts = ", ".join(f"{part} {share:.0%}" for part, share in found.shares.items())
    return (
        f"{found.workload}, batch {found.batch}, {found.precision}, augmentation {found.augment}, epochs of "
        f"{found.epoch:,} images, on {found.kind}: copies {found.bandwidth / 1e9:.3g} GB/s, multiplies matrices at "
        f"{found.rate / 1e12:.3g} TFLOP/s.\nA step of one training, launched piece by piece: {parts}."
    )
