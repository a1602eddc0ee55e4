"""Event files for TensorBoard, made from records.

    <out>/tensorboard/runs/<method>/<workload>-lr…-s…-seed…/   one run: its row of the table (HParams) and its points
                      curves/<method>/<workload>-lr…/           over the seeds: test accuracy by percentage removed

A file is written whole, under a name that follows from its records. A driver that is killed therefore leaves no partial
file, and one that continues writes none twice. Steps are the percentage of weights that the cell asks to remove; those
of tags "by step" are optimizer steps of the training of the returned network.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import fmean
from typing import Any

from lthbench.errors import InputError
from lthbench.runs.records.record import Record, Result, each
from lthbench.runs.records.run_id import file_name
from lthbench.runs.store.files import write_whole
from lthbench.suite import Suite

Point = tuple[str, float, int]  # tag, value, step


@contextmanager
def writing(out: Path, suite: Suite, wanted: bool) -> Iterator[Callable[[Record], None]]:
    """Yield a function to call with every record. It has already been called with the existing records.

    The function does nothing unless `wanted`. Raises InputError if TensorBoard is not installed.
    """
    if not wanted:
        yield lambda record: None
        return
    events = Events(out / "tensorboard", suite)
    for record in each(sorted((out / "records").glob("*.jsonl")), skipped=[]):
        events.take(record)
    events.draw()
    try:
        yield events.add
    finally:
        events.draw()


class Events:
    """The event files of a suite in a folder."""

    def __init__(self, folder: Path, suite: Suite):
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise InputError("--tensorboard needs TensorBoard; type: pip install 'lthbench[tensorboard]'") from None
        self.folder, self._seeds = folder, max(suite.looks)
        whole = all(round(100 * s, 6).is_integer() for s in suite.sparsities)
        self._steps, self._unit = (100, "percent") if whole else (10_000, "hundredths of a percent")
        self._curves: dict[Path, dict[float, dict[int, Record]]] = defaultdict(lambda: defaultdict(dict))
        self._open: set[Path] = set()  # curves with records that are not written yet

    def add(self, record: Record) -> None:
        """Write a run, and its curve if the run completes a point."""
        curve = self.take(record)
        if len(self._curves[curve][record.result.sparsity]) == self._seeds:
            self._draw(curve)

    def take(self, record: Record) -> Path:
        """Write a run, and return its curve, which is marked for drawing.

        A later record of a run replaces an earlier one.
        """
        r = record.result
        values, step = _values(r), self._step(r.sparsity)
        points = [(name, value, step) for name, value in values.items()] + list(_learning(record))
        _write(self.folder / "runs" / record.run_id.path, [record], points, r)
        curve = self.folder / "curves" / file_name(r.method) / f"{file_name(r.workload)}-lr{r.learning_rate!r}"
        self._curves[curve][r.sparsity][r.seed] = record
        self._open.add(curve)
        return curve

    def draw(self) -> None:
        """Write the curves with runs that their files lack."""
        for curve in sorted(self._open):
            self._draw(curve)

    def _draw(self, curve: Path) -> None:
        self._open.discard(curve)
        points: list[Point] = []
        for sparsity, runs in sorted(self._curves[curve].items()):
            accuracies = [r.result.test.percent for r in runs.values() if r.result.status == "ok" and r.result.test]
            found = {"seeds": float(len(accuracies))}
            if accuracies:
                found |= {"mean": fmean(accuracies), "lowest": min(accuracies), "highest": max(accuracies)}
            tags = {f"test accuracy by {self._unit} removed/{name}": value for name, value in found.items()}
            points += [(tag, value, self._step(sparsity)) for tag, value in tags.items()]
        _write(curve, [record for runs in self._curves[curve].values() for record in runs.values()], points)

    def _step(self, sparsity: float) -> int:
        return round(self._steps * sparsity)


def _values(result: Result) -> dict[str, float]:
    """Return the results of a run: accuracies in percent, loss in nats. A run without a result has only its charge."""
    found = {"epochs charged": sum(result.charged.values()) / result.epoch}
    if result.status != "ok":
        return found
    counts = {"test": result.test, "validation": result.validation, "train": result.train}
    found |= {f"{part} accuracy": count.percent for part, count in counts.items() if count}
    found |= {f"{part} loss": loss for part, loss in result.loss.items()}
    if result.prunable is not None and result.removed is not None:
        found["remaining weights"] = float(result.prunable - result.removed)
    return found


def _learning(record: Record) -> Iterator[Point]:
    """Yield the learning curve of a run, by optimizer step: losses in nats, accuracy in percent."""
    tags = ("training loss", "validation loss", "validation accuracy")
    for step, *values in record.provenance.curve.rows if record.provenance.curve else ():
        for tag, value in zip(tags, values, strict=True):
            if value is not None:
                yield f"{tag} by step", value, step


METRICS = ("test accuracy", "validation accuracy", "train accuracy", "test loss", "epochs charged", "remaining weights")


def _write(folder: Path, records: Iterable[Record], points: Iterable[Point], row: Result | None = None) -> None:
    """Write the only event file of a folder, dated by the last of its records."""
    from tensorboard.compat.proto.event_pb2 import Event
    from torch.utils.tensorboard import RecordWriter
    from torch.utils.tensorboard.summary import scalar

    times = [record.provenance.ended for record in records]
    at = max(times)
    path = folder / f"events.out.tfevents.{round(1000 * at)}.{len(times)}"
    if path.exists():
        return
    content = BytesIO()
    writer = RecordWriter(content)
    writer.write(Event(wall_time=at, file_version="brain.Event:2").SerializeToString())
    for summary in _row(row) if row else ():
        writer.write(Event(wall_time=at, summary=summary).SerializeToString())
    for tag, value, step in points:
        writer.write(Event(wall_time=at, step=step, summary=scalar(tag, value)).SerializeToString())
    write_whole(path, content.getvalue())
    for other in folder.glob("events.*"):
        if other != path:
            other.unlink(missing_ok=True)


def _row(result: Result) -> tuple[Any, ...]:
    """Return the entry that makes a run a row of the HParams table."""
    from torch.utils.tensorboard.summary import hparams

    columns = ("method", "workload", "learning_rate", "sparsity", "seed", "status")
    return hparams({name.replace("_", " "): getattr(result, name) for name in columns}, dict.fromkeys(METRICS, 0.0))
