"""Which run it is: on its record, in words, and as a file."""

import json
import re
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, order=True)
class RunId:
    """One method on one cell. `method` is its label, with the parameters that were given."""

    method: str
    workload: str
    learning_rate: float
    sparsity: float
    seed: int

    def __str__(self) -> str:
        """Describe the run for people."""
        cell = f"{self.workload}, learning rate {self.learning_rate:g}, sparsity {self.sparsity:g}, seed {self.seed}"
        return f"{self.method} on {cell}"

    @property
    def path(self) -> Path:
        """A relative path without suffix, in a folder for each method."""
        cell = f"{file_name(self.workload)}-lr{self.learning_rate!r}-s{self.sparsity!r}-seed{self.seed}"
        return Path(file_name(self.method), cell)

    def log(self, out: Path) -> Path:
        """Where the log of the run lies in a run folder."""
        return out / "logs" / self.path.with_name(self.path.name + ".log")

    @property
    def text(self) -> str:
        """One line that `parsed` reads back."""
        return json.dumps(astuple(self))

    @classmethod
    def parsed(cls, text: str) -> "RunId":
        """Read what `text` gave. ValueError for anything else."""
        values = json.loads(text)
        if not isinstance(values, list) or len(values) != 5:
            raise ValueError(f"{text[:80]!r} names no run")
        return cls(*values)


def file_name(text: str) -> str:
    """Turn a text into a name that every file system takes."""
    return re.sub(r"[^\w\[\]=,.+-]", "_", text)


def parts_of(stem: str) -> dict[str, Any]:
    """Read the last part of a run's path: workload (as a file name), learning rate, sparsity, seed. Empty for another text."""
    number = r"[^-]+(?:e-\d+)?"
    said = re.fullmatch(rf"(.+)-lr({number})-s({number})-seed(\d+)", stem)
    kinds = {"workload": str, "learning_rate": float, "sparsity": float, "seed": int}
    return {part: kind(text) for (part, kind), text in zip(kinds.items(), said.groups(), strict=True)} if said else {}
