"""Records: one JSON line a run. `result` depends on suite, method and environment alone; `provenance` is the rest."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

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
    """The number of correct answers, and of examples."""

    right: Whole
    of: Annotated[int, Field(ge=1, le=2**53)]

    @property
    def percent(self) -> float:
        return 100 * self.right / self.of


class Kept(_Strict):
    """A network that a method kept beside its result. `loss` and `correct` mean the same as in Result."""

    test: Count
    correct: str | None = None
    train: Count | None = None
    loss: dict[str, float] = {}
    removed: Whole
    prunable: Whole | None = None
    mask_digest: str = Field(alias="ticket")


class EarlyStop(_Strict):
    """The first network of least validation loss, in nats, among those that were watched: its step and right answers."""

    step: Whole
    loss: float
    validation: Count
    test: Count


class LearningCurve(_Strict):
    """The curve of the training that the returned network ends.

    `first` is the step at which it began, and `epoch` the number of steps in an epoch. `losses` are mean training losses
    of whole epochs, in nats. `points` are (step, mean loss, right answers) on the `held_out` examples. A loss that is not
    finite is None.
    """

    first: Whole
    epoch: Annotated[int, Field(ge=1, le=2**53)]
    losses: list[float | None]
    points: list[tuple[Whole, float | None, Whole]] = []
    held_out: Whole = 0

    @model_validator(mode="after")
    def _held_out(self) -> "LearningCurve":
        if self.points and not self.held_out:
            raise ValueError("has points on held-out examples, but held_out is 0")
        return self

    @property
    def rows(self) -> list[tuple[int, float | None, float | None, float | None]]:
        """Return step, training loss, validation loss and validation accuracy in percent, by step; None where not known."""
        begun = self.first // self.epoch
        training = {(begun + 1 + epoch) * self.epoch: loss for epoch, loss in enumerate(self.losses)}
        held_out = {step: (loss, 100 * right / self.held_out) for step, loss, right in self.points}
        steps = sorted(training.keys() | held_out.keys())
        return [(step, training.get(step), *held_out.get(step, (None, None))) for step in steps]


class Result(_Strict):
    """The accuracies and charges of a run. It has the same bits under every executor and order, in one environment.

    Accuracies count correct answers at the last epoch. `chance` is the largest class's share of the test images, None where
    classes are balanced. `correct` marks the test images with a correct answer, in the order of the packed test split, in
    the format of `lthbench.bits`. `removed` of `prunable` weights are removed. In a basis these are coefficients, and
    `zero_weights` counts the weights that are 0 as a result. `compact` holds the parameters, and the multiplications for
    one image, that remain without the units that are removed whole; None where no unit is. `charged`, `off_budget` and
    `budget` are in training examples; one epoch is `epoch` examples. `loss` is the mean cross-entropy in nats by part of
    the data. `correlation` is R_p by the network that the result is compared with, then by p. The network "init" is the
    initialisation that the result descends from; the others were kept. `barriers` are in percentage points of error by
    pair, then by part. `early_stop` is another network of the last training, where the suite watches. `mask_digest` is
    written as "ticket", `off_budget` as "apart".
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
    early_stop: EarlyStop | None = None

    @field_validator("correct")
    @classmethod
    def _counted(cls, correct: str | None, info: ValidationInfo) -> str | None:
        test = info.data.get("test")
        if correct is None:
            return None
        if test is None:
            raise ValueError("is given without a count of right test answers")
        if (right := bits.flags(correct, test.of).sum()) != test.right:
            raise ValueError(f"has {right} bits set, but {test.right} test answers are right")
        return correct

    @property
    def collapsed_layers(self) -> list[str]:
        """Return the prunable parameters in which no weight is left."""
        return [name for name, (removed, size) in self.layers.items() if removed == size]


class Provenance(_Strict):
    """The circumstances in which a record was made.

    `cpu`: CPU seconds of the method's own code ("method") and of the operations computed for this run, by kind. `seen`:
    examples that networks saw in those operations. Both are None in records from before they were counted. `curve` is None
    too where the returned network does not end a training. `started` is a date and time in ISO 8601; "" in published
    records of a bundle.
    """

    epochs_computed: Epochs
    epochs_reused: Epochs
    seconds: Epochs
    started: str
    host: str
    environment: dict[str, str] = Field(alias="build")
    cpu: dict[str, float] | None = None
    seen: dict[str, int] | None = None
    curve: LearningCurve | None = None

    @field_validator("started")
    @classmethod
    def _dated(cls, started: str) -> str:
        try:
            if started:
                datetime.fromisoformat(started).timestamp()
        except (ValueError, OverflowError):
            raise ValueError(f"{started[:40]!r} is not a date and time as 2026-01-31T12:00:00+00:00") from None
        return started

    @property
    def ended(self) -> float:
        """Return the time at which the run ended, in seconds since 1970; 0 where it is not known."""
        return datetime.fromisoformat(self.started).timestamp() + self.seconds if self.started else 0.0


class Record(_Strict):
    """One line of a results file."""

    schema_version: Literal[1] = 1
    result: Result
    provenance: Provenance

    @property
    def run_id(self) -> RunId:
        """Return the identity of the run."""
        r = self.result
        return RunId(r.method, r.workload, r.learning_rate, r.sparsity, r.seed)

    def line(self) -> str:
        """Return the JSON line, with its keys in a fixed order."""
        written = self.model_dump(mode="json", by_alias=True)
        for table in (written["result"], written["provenance"], *written["result"]["kept"].values()):
            for name in LATER & table.keys():
                if table[name] is None:
                    del table[name]
        return json.dumps(written, ensure_ascii=False)


LATER = {
    "chance",
    "correct",
    "cpu",
    "seen",
    "early_stop",
    "curve",
}  # fields that older records lack: left out where there is nothing to say

Refusal = Callable[[Result], str | None]  # the reason why a record does not belong where it lies, or None


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a JSON-lines file. Only a newline ends a line."""
    with path.open("rb") as file:
        yield from (line.removesuffix(b"\n") for line in file if line.strip())


def parse(line: str | bytes, where: str) -> Record:
    """Return the record on a line. InputError names the file, the line and the problem."""
    try:
        return Record.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(_printable(str(part)) for part in first["loc"]) or "line"
        raise InputError(f"{where}: not a record: {field}: {first['msg'].removeprefix('Value error, ')}") from None


def _printable(name: str) -> str:
    """Return the name of a field as a message may quote it: a record may come from a stranger."""
    return "".join(c if c.isprintable() else "?" for c in name[:60])


def each(
    paths: Iterable[Path], refusal: Refusal = lambda result: None, skipped: list[str] | None = None
) -> Iterator[Record]:
    """Yield the records of some files, one at a time, in order.

    A broken line, a second record of one run, or one with a `refusal` is an InputError that names file and line. Where a
    list `skipped` is given, the line is left out and the message is appended to the list.
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
    """Return all records that `each` yields."""
    return list(each(paths))


def files(folder: Path) -> list[Path]:
    """Return the files of a results folder: `<method>.jsonl` in it, or in its `records/`. InputError if there are none."""
    inner = folder / "records" if (folder / "records").is_dir() else folder
    paths = sorted(inner.glob("*.jsonl"))
    if not paths:
        raise InputError(f"there are no records (*.jsonl) in {folder}; lthbench run SUITE --out {folder} makes some")
    return paths


def in_folder(folder: Path) -> list[Record]:
    """Return all records of a results folder."""
    return read(files(folder))
