"""Measured latencies beside the records: one file for each network that `lthbench latency` timed."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench import source
from lthbench.errors import InputError
from lthbench.runs.store.files import write_whole

FOLDER = "latency"  # in a run folder, or in a folder of published results


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Frozen):
    """The time of one forward pass of a form of a network.

    `median`, `low` and `high` (quartiles) are in milliseconds. `speed_up` is the median over rounds of dense ÷ this. `size`
    is that of the parameters and buffers as a file, in bytes.
    """

    form: str
    runtime: str
    batch: int
    threads: int
    median: float
    low: float
    high: float
    speed_up: float
    parameters: int
    size: int


class TimedRun(BaseModel):
    """The run whose network was timed. A file may say more of it, such as its suite."""

    model_config = ConfigDict(frozen=True, extra="allow")

    method: str
    workload: str
    learning_rate: float
    sparsity: float
    seed: int


class Latencies(_Frozen):
    """The latencies of the network of one run, and the machine that was timed."""

    run: TimedRun
    machine: dict[str, str]
    rows: list[Latency]


def write(folder: Path, name: str, found: Latencies) -> None:
    """Write a file of latencies into a folder of records."""
    write_whole(folder / FOLDER / f"{name}.json", (json.dumps(found.model_dump(), indent=1) + "\n").encode())


def read(folder: Path) -> list[Latencies]:
    """Return the latencies of all files in a folder of records. InputError names a file that is of another kind."""
    return [_read(path) for path in sorted((folder / FOLDER).glob("*.json"))]


def _read(path: Path) -> Latencies:
    try:
        return Latencies.model_validate_json(source.read_text(path))
    except (ValidationError, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is not from lthbench latency: {said}; remove it") from None
