"""Timing: seconds until a device has finished its work, and interleaved rounds with their medians."""

import math
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time one call, until the device has finished everything that it started."""
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def rounds(works: Mapping[str, Callable[[], object]], device: torch.device, count: int) -> dict[str, list[float]]:
    """Time each of the works in `count` rounds.

    Each round runs all of them in turn, so that a busy period of the machine slows all alike.
    """
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(count):
        for name, work in works.items():
            found[name].append(seconds(work, device))
    return found


def enough(seconds_of: Callable[[int], float], least: float, guess: float = 2) -> tuple[int, float]:
    """Find a number of steps that takes at least `least` seconds and little more, from a guess. Returns it and its seconds."""
    steps = max(2, math.ceil(guess))
    while (took := seconds_of(steps)) < least:
        steps = 1 + int(steps * min(10, 1.2 * least / took))
    return steps, took


def ratio(one: list[float], other: list[float]) -> float:
    """Return the median over rounds of one ÷ other."""
    return median(a / b for a, b in zip(one, other, strict=True))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
