"""Records: one JSON line a run. `result` follows from suite, method and build alone; `provenance` says how it came."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from lthbench import bits
from lthbench.errors import InputError
from lthbench.runs.records.run_id import RunId

Whole = Annotated[int, Field(ge=0, le=2**53)]  # what a float holds exactly
Share = Annotated[
    str, Field(pattern=r"^[01](\.\d{1,20})?$|^\de-\d{1,2}$")
]  # a number of at most 1, as JSON names a field
Rate = Annotated[float, Field(gt=0, le=1e6)]
Epochs = Annotated[float, Field(ge=0, le=1e9)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True)


class Count(_Strict):
    """Right answers of a number of examples."""

    right: Whole
    of: Annotated[int, Field(ge=1, le=2**53)]

    @property
    def percent(self) -> float:
        return 100 * self.right / self.of


class Kept(_Strict):
    """A network that a method kept beside its result. `loss` and `correct` as in Result."""

    test: Count
    correct: str | None = None
    train: Count | None = None
    loss: dict[str, float] = {}
    removed: Whole
    prunable: Whole | None = None
    mask_digest: str = Field(alias="ticket")


class Result(_Strict):
    """What a run reached and what it was charged. The same bits under every executor and order, in one environment.

    Accuracies count right answers at the last epoch. `chance` is the largest class's share of the test images, None where
    classes are balanced. `correct` says which test images were right, in the order of the
    packed test split, as `lthbench.bits` writes it. `removed` of `prunable` weights are gone; in a basis these are
    coefficients, and `zero_weights` counts the weights that are 0 with them. `compact` is what is left without the units
    that are gone whole: parameters, and multiplications of one image; None where no unit is gone. `charged`, `off_budget`
    and `budget` are in training examples; one epoch is `epoch` examples. `loss` is the mean cross-entropy in nats by
    part of the data. `correlation` is R_p by the network that the result is compared with, then by p; "init" is where the
    result descends from, the others were kept. `barriers` are in percentage points of error by pair, then by part.
    `mask_digest` is written as "ticket", `off_budget` as "apart".
    """

    suite: str
    suite_version: str
    suite_hash: str
    workload: str
    dataset: str
    fingerprints: dict[str, str]
    classes: Annotated[int, Field(ge=1, le=1_000_000)]
    chance: float | None = Field(None, gt=0, le=1)
    tolerance: Annotated[float, Field(ge=0, le=100)]
    learning_rate: Rate
    sparsity: Annotated[float, Field(ge=0, lt=1)]
    seed: Whole
    method: str
    version: str
    parameters: dict[str, int | float | bool | str | None]
    source: str
    track: Literal["one-shot", "iterative", "dense"]
    control_of: str | None
    status: Literal["ok", "failed", "diverged"]
    reason: str | None = None
    test: Count | None = None
    correct: str | None = None
    validation: Count | None = None
    train: Count | None = None
    loss: dict[str, float] = {}
    removed: Whole | None = None
    prunable: Whole | None = None
    parameters_total: Whole | None = None
    layers: dict[str, tuple[Whole, Whole]] = {}
    multiplications: tuple[Whole, Whole] | None = None
    compact: tuple[Whole, Whole] | None = None
    mask_digest: str | None = Field(None, alias="ticket")
    weights: str | None = None
    zero_weights: Whole | None = None
    charged: dict[str, Whole]
    off_budget: dict[str, Whole] = Field({}, alias="apart")
    budget: Whole | None
    epoch: Annotated[int, Field(ge=1, le=2**53)]
    pipeline: str
    kept: dict[str, Kept] = {}
    correlation: dict[str, dict[Share, float]] = {}
    barriers: dict[str, dict[str, float]] = {}
    notes: dict[str, float | list[float]] = {}

    @field_validator("correct")
    @classmethod
    def _counted(cls, correct: str | None, info: ValidationInfo) -> str | None:
        test = info.data.get("test")
        if correct is None:
            return None
        if test is None:
            raise ValueError("stands without a count of right test answers")
        if (right := bits.flags(correct, test.of).sum()) != test.right:
            raise ValueError(f"has {right} bits set, but {test.right} test answers are right")
        return correct

    @property
    def collapsed_layers(self) -> list[str]:
        """Prunable parameters of which nothing is left."""
        return [name for name, (removed, size) in self.layers.items() if removed == size]


class Provenance(_Strict):
    """How a record came to be.

    `cpu`: CPU seconds of the method's own code ("method") and of the operations computed now, by kind. `seen`: examples that
    networks saw in those. Both are None in records from before they were counted.
    """

    epochs_computed: Epochs
    epochs_reused: Epochs
    seconds: Epochs
    started: str
    host: str
    environment: dict[str, str] = Field(alias="build")
    cpu: dict[str, float] | None = None
    seen: dict[str, int] | None = None


class Record(_Strict):
    """One line of a results file."""

    schema_version: Literal[1] = 1
    result: Result
    provenance: Provenance

    @property
    def run_id(self) -> RunId:
        """Which run this is."""
        r = self.result
        return RunId(r.method, r.workload, r.learning_rate, r.sparsity, r.seed)

    def line(self) -> str:
        """The JSON line, keys in a fixed order."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False)


Refusal = Callable[[Result], str | None]  # why a record does not belong where it lies, or nothing


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a JSON-lines file; only a newline ends one."""
    with path.open("rb") as file:
        yield from (line.removesuffix(b"\n") for line in file if line.strip())


def parse(line: str | bytes, where: str) -> Record:
    """One record. InputError names file and line, and what is wrong."""
    try:
        return Record.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(_printable(str(part)) for part in first["loc"]) or "line"
        raise InputError(f"{where}: no record: {field}: {first['msg'].removeprefix('Value error, ')}") from None


def _printable(name: str) -> str:
    """Return the name of a field as a message may quote it: a record may come from a stranger."""
    return "".join(c if c.isprintable() else "?" for c in name[:60])


def each(
    paths: Iterable[Path], refusal: Refusal = lambda result: None, skipped: list[str] | None = None
) -> Iterator[Record]:
    """The records of some files, one at a time, in order.

    A broken line, a second record of one run, or one with a `refusal` is an InputError that names file and line; where a
    list `skipped` is given, the line is left out and the message goes there.
    """
    seen: dict[Any, str] = {}
    for path in paths:
        for number, line in enumerate(lines_of(path), 1):
            try:
                yield _accepted(line, f"{path}:{number}", refusal, seen)
            except InputError as error:
                if skipped is None:
                    raise InputError(f"{error}; --skip-broken goes on without it") from None
                skipped.append(str(error))


def _accepted(line: bytes, where: str, refusal: Refusal, seen: dict[Any, str]) -> Record:
    record = parse(line, where)
    name = (record.result.suite, record.result.suite_version, record.run_id)
    if name in seen:
        raise InputError(f"{where}: the run is in {seen[name]} already; keep one of the two")
    if reason := refusal(record.result):
        raise InputError(f"{where}: {reason}")
    seen[name] = where
    return record


def read(paths: Iterable[Path]) -> list[Record]:
    """All records of some files, as by `each`."""
    return list(each(paths))


def files(folder: Path) -> list[Path]:
    """The files of one results folder: `<method>.jsonl` in it, or in its `records/`. InputError if there are none."""
    inner = folder / "records" if (folder / "records").is_dir() else folder
    paths = sorted(inner.glob("*.jsonl"))
    if not paths:
        raise InputError(f"there are no records (*.jsonl) in {folder}; lthbench run SUITE --out {folder} makes some")
    return paths


def in_folder(folder: Path) -> list[Record]:
    """All records of one results folder."""
    return read(files(folder))
