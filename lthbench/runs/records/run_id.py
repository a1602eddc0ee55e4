"""What a run is called: on its record, in words, and as a file."""

import re
from pathlib import Path
from typing import Any

from lthbench.methods.registry import Method
from lthbench.suite import Cell

Name = tuple[str, str, float, float, int]
"""Which run it is: method, workload, learning rate, sparsity, seed."""


def name_of(method: Method, cell: Cell) -> Name:
    """The name of a planned run, as on its record."""
    return method.label, cell.workload.name, cell.learning_rate, cell.sparsity, cell.seed


def in_words(name: Name) -> str:
    """A run for people."""
    method, workload, rate, sparsity, seed = name
    return f"{method} on {workload}, rate {rate:g}, sparsity {sparsity:g}, seed {seed}"


def file_name(text: str) -> str:
    """A text as a name that every file system takes."""
    return re.sub(r"[^\w\[\]=,.+-]", "_", text)


def path_of(name: Name) -> Path:
    """A run as a relative path without suffix, a folder for each method."""
    method, workload, rate, sparsity, seed = name
    return Path(file_name(method), f"{file_name(workload)}-lr{rate!r}-s{sparsity!r}-seed{seed}")


def parts_of(stem: str) -> dict[str, Any]:
    """What the last part of such a path says: workload (as a file name), rate, sparsity and seed; nothing for another."""
    number = r"[^-]+(?:e-\d+)?"
    said = re.fullmatch(rf"(.+)-lr({number})-s({number})-seed(\d+)", stem)
    kinds = {"workload": str, "rate": float, "sparsity": float, "seed": int}
    return {part: kind(text) for (part, kind), text in zip(kinds.items(), said.groups(), strict=True)} if said else {}
