"""Timing: seconds of work that a device has really ended, and medians of rounds in which everything has its turn."""

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long one call takes, to the end of what it started on the device."""
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def rounds(works: Mapping[str, Callable[[], object]], device: torch.device, count: int) -> dict[str, list[float]]:
    """Seconds of each of the works in `count` rounds, one after another in each, so that a busy spell falls on all."""
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(count):
        for name, work in works.items():
            found[name].append(seconds(work, device))
    return found


def enough(seconds_of: Callable[[int], float], least: float) -> tuple[int, float]:
    """A number of steps that takes at least so many seconds, and not many more, and how many it took."""
    steps = 2
    while (took := seconds_of(steps)) < least:
        steps = 1 + int(steps * min(10, 1.2 * least / took))
    return steps, took


def ratio(one: list[float], other: list[float]) -> float:
    """The median of one ÷ other, round by round."""
    return median(a / b for a, b in zip(one, other, strict=True))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
