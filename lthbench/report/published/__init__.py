"""The published numbers of papers, as data with a tag for their source. Numbers that are only recalled are never shown."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench.errors import InputError, unknown

FOLDER = Path(__file__).parent


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Number(_Strict):
    """One published number.

    `tag`: read in the paper or its released code; second-hand; or recalled, which means unchecked. `workload`,
    `learning_rate`, `sparsity` and `method` (as a suite names it) choose the measured number beside it.
    """

    what: str
    value: float
    tag: Literal["read", "second-hand", "recalled"]
    unit: str = "%"
    workload: str = ""
    learning_rate: float | None = None
    sparsity: float = 0.0
    method: str = ""

    @property
    def shown(self) -> bool:
        """Tell whether a report may show the number as the paper's."""
        return self.tag != "recalled"


class Paper(_Strict):
    """A paper: its citation, its claim in a sentence, the settings of its protocol, its numbers.

    `protocol` has keys of a suite or its recipe. `protocol_of` has those that differ for one suite, by its name.
    `differs` describes differences that no key expresses.
    """

    citation: str
    claim: str
    protocol: dict[str, Any] = {}
    protocol_of: dict[str, dict[str, Any]] = {}
    differs: list[str] = []
    number: list[Number] = []

    @property
    def numbers(self) -> list[Number]:
        """Return the numbers that may be shown."""
        return [number for number in self.number if number.shown]


def names() -> list[str]:
    """Return the names of the papers with data."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def paper(name: str) -> Paper:
    """Return a paper by name. Raises InputError for an unknown paper or an invalid file."""
    if name not in names():
        raise InputError(unknown("paper", name, names()))
    path = FOLDER / f"{name}.toml"
    try:
        return Paper.model_validate(tomllib.loads(path.read_text()))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: {error}") from None
