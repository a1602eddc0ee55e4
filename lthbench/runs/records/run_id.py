"""The identity of a run, as on its record, in words, and as a file name."""

import json
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from lthbench.errors import InputError

LONGEST = 200  # bytes of a file name that a method or a workload makes; file systems take 255 with what follows


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
        """Return a relative path without suffix, in a folder for each method."""
        cell = f"{file_name(self.workload)}-lr{self.learning_rate!r}-s{self.sparsity!r}-seed{self.seed}"
        return Path(file_name(self.method), cell)

    def log(self, out: Path) -> Path:
        """Return the path of the run's log in a run folder."""
        return out / "logs" / self.path.with_name(self.path.name + ".log")

    @property
    def text(self) -> str:
        """Return one line that `parsed` reads back."""
        return json.dumps(astuple(self))

    @classmethod
    def parsed(cls, text: str) -> "RunId":
        """Read what `text` returned. ValueError for anything else."""
        values = json.loads(text)
        if not isinstance(values, list) or len(values) != 5:
            raise ValueError(f"{text[:80]!r} is not the name of a run")
        return cls(*values)


def file_name(text: str) -> str:
    """Turn a text into a name that every file system takes."""
    return re.sub(r"[^\w\[\]=,.+-]", "_", text)


def check_file_names(what: str, texts: Iterable[str]) -> None:
    """Raise InputError where two texts make one file name, small and capital letters being equal, or one is too long."""
    seen: dict[str, str] = {}
    for text in texts:
        name = file_name(text).casefold()
        if len(name.encode()) > LONGEST:
            raise InputError(f"the {what} {text[:40]!r}… makes a file name of over {LONGEST} bytes; shorten it")
        if (other := seen.setdefault(name, text)) != text:
            raise InputError(
                f"the {what}s {other!r} and {text!r} make one file name; rename one, or give each an --out of its own"
            )


def parts_of(stem: str) -> dict[str, Any]:
    """Read the last part of a run's path: workload (as a file name), learning rate, sparsity, seed. Empty for another text."""
    number = r"[^-]+(?:e-\d+)?"
    said = re.fullmatch(rf"(.+)-lr({number})-s({number})-seed(\d+)", stem)
    kinds = {"workload": str, "learning_rate": float, "sparsity": float, "seed": int}
    return {part: kind(text) for (part, kind), text in zip(kinds.items(), said.groups(), strict=True)} if said else {}
