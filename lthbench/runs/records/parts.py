"""The tables beside `runs`, listed once: the columns of each after `run`, and the rows that a record gives."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from lthbench.runs.records.columns import share
from lthbench.runs.records.record import Record

Rows = Iterable[tuple[Any, ...]]
LOSSES = ("test", "validation", "train")


class Part(NamedTuple):
    """A table beside `runs`: its columns after `run`, and its rows for a record."""

    columns: tuple[str, ...]
    rows: Callable[[Record], Rows]


def _kept(record: Record) -> Iterator[tuple[Any, ...]]:
    for name, kept in record.result.kept.items():
        accuracy = kept.train.percent if kept.train else float("nan")
        losses = (kept.loss.get(part, float("nan")) for part in LOSSES)
        sparsity = share(kept.removed, record.result.prunable)
        yield (name, kept.test.percent, sparsity, accuracy, *losses, *(getattr(kept, field) for field in _AS_IT_IS))


_AS_IT_IS = ("removed", "prunable", "mask_digest", "correct")  # of a kept network


def _notes(record: Record) -> Rows:
    listed = {note: values if isinstance(values, list) else [values] for note, values in record.result.notes.items()}
    return [(note, position, value) for note, values in listed.items() for position, value in enumerate(values)]


def _correlation(record: Record) -> Rows:
    found = record.result.correlation.items()
    return [(reference, float(p), value) for reference, shares in found for p, value in shares.items()]


def _costs(record: Record) -> Rows:
    result, provenance = record.result, record.provenance
    accounts = {
        "charged": result.charged,
        "off_budget": result.off_budget,
        "seen": provenance.seen,
        "cpu": provenance.cpu,
    }
    return [(account, part, value) for account, parts in accounts.items() for part, value in (parts or {}).items()]


PARTS = {
    "kept": Part(
        ("network", "accuracy", "sparsity", "train_accuracy", *(f"{part}_loss" for part in LOSSES), *_AS_IT_IS), _kept
    ),
    "notes": Part(("note", "position", "value"), _notes),
    "correlation": Part(("reference", "p", "value"), _correlation),
    "barriers": Part(
        ("pair", "part", "value"),
        lambda record: [(pair, *item) for pair, parts in record.result.barriers.items() for item in parts.items()],
    ),
    "images": Part(("correct",), lambda record: [] if record.result.correct is None else [(record.result.correct,)]),
    "curves": Part(
        ("step", "training_loss", "validation_loss", "validation_accuracy"),
        lambda record: record.provenance.curve.rows if record.provenance.curve else [],
    ),
    "costs": Part(("account", "part", "value"), _costs),
}
