"""What a bench found, as plain data: kept beside the packed data sets, one file for a device and a workload."""

import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench.runs.store.files import write_whole


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Speed(_Frozen):
    """Network-epochs a second of so many trainings side by side."""

    lanes: int
    epochs_per_second: float


class Measurement(_Frozen):
    """`epoch` is in images; `floor`, `plain` and `ours` are seconds of one network-epoch, one training at a time.

    `ratio`: ours ÷ plain, the median of rounds. `bandwidth` in bytes a second, `rate` in operations a second,
    `multiplications` of one image's forward pass. `shares` of a step by part.
    """

    workload: str
    stem: str
    shape: tuple[int, int, int]
    batch: int
    precision: str
    augment: str
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
        """The number of trainings side by side that gets most done."""
        return max(self.speeds, key=lambda speed: speed.epochs_per_second)

    @property
    def image(self) -> float:
        """Seconds for one image of one training, where as many as is best go side by side."""
        return 1 / (self.best.epochs_per_second * self.epoch)


def keep(data: Path, found: Measurement) -> Path:
    """Write a measurement to the data folder, in place of an earlier one of the same."""
    name = f"{found.workload}-{found.stem}-b{found.batch}-{found.precision}-{found.augment}"
    path = data / ".bench" / _plain(found.kind) / f"{_plain(name)}.json"
    write_whole(path, json.dumps(found.model_dump(mode="json"), indent=1).encode())
    return path


def kept(data: Path, kind: str) -> list[Measurement]:
    """The measurements of a kind of device; what cannot be read is passed over."""
    found = []
    for path in sorted((data / ".bench" / _plain(kind)).glob("*.json")):
        try:
            found.append(Measurement.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
