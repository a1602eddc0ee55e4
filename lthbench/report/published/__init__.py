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
    `learning_rate`, `sparsity` and `method` (as a suite names it) choose the measured number beside it: the test accuracy,
    or the `note` of the method by that name.
    """

    what: str
    value: float
    tag: Literal["read", "second-hand", "recalled"]
    unit: str = "%"
    workload: str = ""
    learning_rate: float | None = None
    sparsity: float = 0.0
    method: str = ""
    note: str = ""

    @property
    def shown(self) -> bool:
        """Tell whether a report may show the number as the paper's."""
        return self.tag != "recalled"


class Statement(_Strict):
    """One published statement about arms of an experiment: `arm` has more, less or the same of a `measure` than `other`.

    Pruned arms are compared after `rounds` rounds of pruning, `other` after `against` rounds where those differ. Without `other`, the arm
    is compared with `value`. `value` is the published figure: a ratio of steps, percentage points, or percent; `bound` says
    that it is a bound.
    """

    what: str
    tag: Literal["read", "second-hand", "recalled"]
    measure: str
    arm: str
    other: str = ""
    rounds: int
    against: int | None = None
    claims: Literal["more", "less", "same"]
    value: float | None = None
    bound: Literal["", "more than", "up to"] = ""
    unit: str = ""

    @property
    def other_rounds(self) -> int:
        """Return the rounds of the other arm."""
        return self.rounds if self.against is None else self.against

    @property
    def published(self) -> str:
        """Return the published figure in words, or the direction where there is none."""
        return self.claims if self.value is None else f"{self.bound} {self.value:g} {self.unit}".strip()


class Paper(_Strict):
    """A paper: its citation, its claim in a sentence, the settings of its protocol, its numbers and statements.

    `protocol` has keys of a suite or its recipe. `protocol_of` has those that differ for one suite, by its name.
    `differs` describes differences that no key expresses.
    """

    citation: str
    claim: str
    protocol: dict[str, Any] = {}
    protocol_of: dict[str, dict[str, Any]] = {}
    differs: list[str] = []
    number: list[Number] = []
    statement: list[Statement] = []

    @property
    def numbers(self) -> list[Number]:
        """Return the numbers that may be shown."""
        return [number for number in self.number if number.shown]

    @property
    def statements(self) -> list[Statement]:
        """Return the statements that may be shown."""
        return [statement for statement in self.statement if statement.tag != "recalled"]


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
