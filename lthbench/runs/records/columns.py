"""The columns of the runs table, listed once: for the DataFrame, the CSV file, the page and the documents."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lthbench.runs.records.record import Count, EarlyStop, Provenance, Record


@dataclass(frozen=True)
class Column:
    """A column: its name, its meaning, and its value for a record. `on_page`: whether the suite's page shows it."""

    name: str
    about: str
    of: Callable[[Record], Any]
    on_page: bool = True


def share(part: float | None, whole: float | None) -> float:
    """Return part ÷ whole; NaN where either is missing, or the whole is 0."""
    return part / whole if part is not None and whole else float("nan")


def _field(name: str, about: str, on_page: bool = True) -> Column:
    """Return a column for a field of the result."""
    return Column(name, about, lambda record: getattr(record.result, name), on_page)


def _accuracy(name: str, part: str, images: str) -> Column:
    def percent(record: Record) -> float:
        count: Count | None = getattr(record.result, part) if record.result.status == "ok" else None
        return count.percent if count else float("nan")

    return Column(name, f"correct answers on the {images}, in percent; NaN where there is no result", percent)


def _loss(part: str, images: str) -> Column:
    about = f"mean cross-entropy on the {images}, in nats"
    return Column(f"{part}_loss", about, lambda record: record.result.loss.get(part, math.nan), on_page=False)


def _early_stop(name: str, about: str, of: Callable[[EarlyStop], float]) -> Column:
    def value(record: Record) -> float:
        return of(record.result.early_stop) if record.result.early_stop else math.nan

    return Column(name, about, value, on_page=False)


def _compact(name: str, about: str, place: int) -> Column:
    def value(record: Record) -> int | None:
        return record.result.compact[place] if record.result.compact else None

    return Column(name, about, value, on_page=False)


def _charged(phase: str, about: str) -> Column:
    def epochs(record: Record) -> float:
        return record.result.charged.get(phase, 0) / record.result.epoch

    return Column(f"charged_{phase}", about, epochs)


def _total(examples: dict[str, int], record: Record) -> float:
    return sum(examples.values()) / record.result.epoch


def _environment(name: str, key: str, about: str, on_page: bool = True) -> Column:
    return Column(name, about, lambda record: record.provenance.environment.get(key, ""), on_page)


def _provenance(name: str, about: str) -> Column:
    return Column(name, about, lambda record: getattr(record.provenance, name))


def _sum(name: str, about: str, of: Callable[[Provenance], Mapping[str, float] | None]) -> Column:
    def total(record: Record) -> float:
        parts = of(record.provenance)
        return math.nan if parts is None else sum(parts.values())

    return Column(name, about, total, on_page=False)


RUN_COLUMNS = (
    _field("suite", "name of the suite", on_page=False),
    _field("suite_version", "its version", on_page=False),
    _field("suite_hash", "digest of its text", on_page=False),
    _field("workload", "MODEL/DATASET"),
    _field("dataset", "name of the data set", on_page=False),
    Column("fingerprints", "digests of the images, as JSON", lambda r: _json(r.result.fingerprints), on_page=False),
    _field("learning_rate", "peak learning rate"),
    _field("sparsity", "share of the prunable weights that the cell asks to remove"),
    _field("method", "name of the method, with the parameters that were given"),
    _field("seed", "seed of the run"),
    _field("track", "one-shot, iterative or dense", on_page=False),
    _field("control_of", "the method that this one is a control of", on_page=False),
    _field("status", "ok, failed or diverged"),
    _field("reason", "why the run failed or diverged"),
    _accuracy("accuracy", "test", "test images"),
    _accuracy("validation_accuracy", "validation", "held-out training images"),
    _accuracy("train_accuracy", "train", "training images"),
    _loss("test", "test images"),
    _loss("validation", "held-out training images"),
    _loss("train", "training images"),
    _early_stop("early_stop_step", "step of least validation loss, where the training was watched", lambda s: s.step),
    _early_stop("early_stop_loss", "validation loss there, in nats", lambda s: s.loss),
    _early_stop(
        "early_stop_accuracy", "correct answers on the test images there, in percent", lambda s: s.test.percent
    ),
    _early_stop(
        "early_stop_validation_accuracy",
        "correct answers on the held-out training images there, in percent",
        lambda s: s.validation.percent,
    ),
    _field("classes", "classes of the data set", on_page=False),
    Column("chance", "accuracy of always naming the largest class, in percent", lambda r: _chance(r), on_page=False),
    Column("n_test", "test images", lambda record: record.result.test.of if record.result.test else 0),
    _field("tolerance", "percentage points that count as similar on the workload", on_page=False),
    _field("removed", "prunable weights that are removed"),
    _field("prunable", "prunable weights of the workload's model"),
    _field("parameters_total", "parameters of the network that the method returned"),
    Column(
        "parameters_left", "parameters of that network without the removed weights", lambda r: _left(r), on_page=False
    ),
    Column("multiplications", "remaining multiplications for one image", lambda record: _multiplications(record)[0]),
    Column(
        "multiplications_saved",
        "dense ÷ remaining multiplications",
        lambda record: share(*_multiplications(record)[::-1]),
    ),
    _compact("compact_parameters", "parameters without the units that are removed whole", 0),
    _compact("compact_multiplications", "multiplications for one image without these units", 1),
    _field("zero_weights", "weights that are 0; of methods that prune in a basis", on_page=False),
    Column("collapsed_layers", "layers in which no weight is left", lambda record: len(record.result.collapsed_layers)),
    Column("epochs", "epochs charged", lambda record: _total(record.result.charged, record)),
    _charged("train", "epochs charged for training"),
    _charged("score", "epochs charged for measuring"),
    _charged("validate", "epochs charged for validating"),
    Column(
        "off_budget", "epochs on accounts outside the budget", lambda record: _total(record.result.off_budget, record)
    ),
    Column("budget", "epochs that may be spent", lambda record: share(record.result.budget, record.result.epoch)),
    _field("pipeline", "what the method did, in order"),
    _field("version", "version of lthbench"),
    Column("parameters", "parameters of the method, as JSON", lambda record: _json(record.result.parameters)),
    _field("source", "digest of the method's source"),
    _field("mask_digest", "digest of the mask"),
    _field("weights", "digest of the weights"),
    _provenance("epochs_computed", "epochs that were computed for this run"),
    _provenance("epochs_reused", "epochs that were found in the store"),
    _provenance("seconds", "seconds from the start of the run to its end"),
    _sum("cpu_seconds", "CPU seconds of the method's own code and of the operations of this run", lambda p: p.cpu),
    _sum("examples_seen", "examples that networks saw in these operations", lambda p: p.seen),
    _provenance("started", "when the run started, UTC"),
    _provenance("host", "the driver's machine"),
    _environment("device", "kind", "the device that computed"),
    _environment("instructions", "instructions", "its instruction set", on_page=False),
    _environment("torch", "torch", "version of torch"),
    Column(
        "environment", "all that bounds bit identity, as JSON", lambda r: _json(r.provenance.environment), on_page=False
    ),
)


def _chance(record: Record) -> float:
    """Return the chance level in percent. A record without one has balanced classes: 100 / classes."""
    known = record.result.chance
    return 100 / record.result.classes if known is None else 100 * known


def _left(record: Record) -> int | None:
    total = record.result.parameters_total
    return None if total is None else total - sum(removed for removed, _ in record.result.layers.values())


def _multiplications(record: Record) -> tuple[int | None, int | None]:
    return record.result.multiplications or (None, None)


def _json(parameters: dict[str, Any]) -> str:
    return json.dumps(parameters) if parameters else ""
