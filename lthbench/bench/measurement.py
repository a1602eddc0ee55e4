"""A measurement as plain data, kept beside the packed data sets: one file for each device, workload and program."""

import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench.runs.store.files import write_whole


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Speed(_Frozen):
    """Network-epochs per second of `lanes` trainings side by side."""

    lanes: int
    epochs_per_second: float


class Measurement(_Frozen):
    """The measurement of a workload on a device.

    `epoch` is in images. `floor`, `plain` and `ours` are seconds of one network-epoch with one training at a time.
    `ratio` is the median over rounds of ours ÷ plain. `bandwidth` is in bytes per second, `rate` in operations per
    second. `multiplications` are those of one image's forward pass. `shares` are the shares of a step by part. `program`
    is that of the trainings, "" in files from before it was noted.
    """

    workload: str
    stem: str
    shape: tuple[int, int, int]
    batch: int
    precision: str
    augment: str
    program: str = ""
    kind: str
    device: str
    torch: str
    epoch: int
    multiplications: int
    bandwidth: float
    rate: float
    floor: float
    plain: float
    ours: float
    ratio: float
    shares: dict[str, float]
    speeds: tuple[Speed, ...]

    @property
    def model(self) -> str:
        return self.workload.partition("/")[0]

    @property
    def best(self) -> Speed:
        """Return the entry with the most network-epochs per second."""
        return max(self.speeds, key=lambda speed: speed.epochs_per_second)

    @property
    def image(self) -> float:
        """Return the seconds for one image of one training when the best number of trainings run side by side."""
        return 1 / (self.best.epochs_per_second * self.epoch)


def keep(data: Path, found: Measurement) -> Path:
    """Write a measurement to the data folder. It replaces an earlier one of the same device, workload and program."""
    name = f"{found.workload}-{found.stem}-b{found.batch}-{found.precision}-{found.augment}-{found.program}"
    path = data / ".bench" / _plain(found.kind) / f"{_plain(name)}.json"
    write_whole(path, json.dumps(found.model_dump(mode="json"), indent=1).encode())
    return path


def kept(data: Path, kind: str) -> list[Measurement]:
    """Return the measurements of a kind of device. Unreadable files are skipped."""
    found = []
    for path in sorted((data / ".bench" / _plain(kind)).glob("*.json")):
        try:
            found.append(Measurement.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
