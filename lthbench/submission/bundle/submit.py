"""From a run folder to a bundle: complete, or refused with what is missing."""

import hashlib
import inspect
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from pydantic import ValidationError
from safetensors.torch import save

from lthbench import source
from lthbench._version import __version__
from lthbench.board.scores import scores
from lthbench.errors import InputError, unknown
from lthbench.methods import registry
from lthbench.methods.registry import Method
from lthbench.models import own
from lthbench.runs.records import record as records
from lthbench.runs.records.record import Record
from lthbench.runs.records.tables import tabulated
from lthbench.submission.bundle import bundle, manifest, source_rules
from lthbench.submission.bundle.completeness import missing
from lthbench.submission.bundle.manifest import (
    RECORDS,
    SOURCE,
    Architecture,
    File,
    Helper,
    Manifest,
    Named,
    Origin,
    Score,
    Ticket,
)
from lthbench.submission.bundle.ticket import entry
from lthbench.suite import Suite, in_folder
from lthbench.suite.trial import unpublished


def submit(results: Path, method: str, authors: Sequence[str], paper: str, license: str, out: Path) -> Manifest:
    """Write the bundle of a method (as typed for --method) from a run folder. InputError where it is not complete."""
    suite = in_folder(results)
    if code := [w.model for w in suite.workload if own.is_written(w.model)]:
        raise InputError(
            f"suite {suite.name} names a model in a file, {code[0]}: no bundle holds its code, so none can be made"
        )
    if why := unpublished(suite):
        raise InputError(
            f"{results} holds {why}, not the published suite; a bundle has runs of lthbench run {suite.name}"
        )
    registry.load_all()
    found = registry.find(method)
    sources = _sources(found)
    mine = _records(results, suite, found)
    files: dict[str, bytes] = {}
    tickets = []
    for number, record in enumerate(mine, 1):
        path = f"tickets/{number:05}.safetensors"
        ticket, files[path] = _ticket(results, record, path)
        tickets.append(ticket)
    files |= sources
    files[RECORDS] = "".join(record.line() + "\n" for record in mine).encode()
    named = _manifest(suite, found, mine, authors, paper, license, tickets, files)
    bundle.write(out, named, files)
    with bundle.opened(out):  # as a stranger will
        pass
    return named


def claimed_scores(mine: Iterable[Record]) -> list[Score]:
    """Return what records say of each cell."""
    table = scores(tabulated(mine).scored)
    return [
        Score(
            workload=row["workload"],
            learning_rate=row["learning_rate"],
            sparsity=row["sparsity"],
            n=int(row["n"]),
            mean=None if pd.isna(row["mean"]) else round(float(row["mean"]), 9),
        )
        for _, row in table.iterrows()
    ]


def _records(results: Path, suite: Suite, method: Method) -> list[Record]:
    every = records.in_folder(results)
    mine = [r for r in every if r.result.method == method.label and r.result.suite_hash == suite.hash]
    if not mine:
        there = {r.result.method for r in every}
        raise InputError(f"{results}: " + unknown("method with records", method.label, there))
    if failed := [r for r in mine if r.result.status == "failed"]:
        raise InputError(
            f"{len(failed)} runs of {method.label} failed ({failed[0].result.reason}); mend it and run again"
        )
    if lost := [r for r in mine if r.result.weights is None]:
        raise InputError(
            f"{len(lost)} runs of {method.label} diverged and then raised ({lost[0].result.reason}); a bundle holds the "
            "network of every run: return it from the method, and run again"
        )
    if problem := missing(suite, mine):
        raise InputError(f"{method.label} is not complete: {problem}; type: lthbench run {suite.name} --keep finals …")
    if {r.result.source for r in mine} != {method.source}:
        raise InputError(f"{method.label}: the records were made by other code than its file holds now; run it again")
    return sorted(mine, key=lambda r: r.run_id)


def _sources(method: Method) -> dict[str, bytes]:
    """Return the method's file and the modules beside it that it imports.

    InputError for modules that lie elsewhere, and for what `verify` would refuse.
    """
    function = inspect.unwrap(method.function)
    path = Path(inspect.getfile(function)).resolve()
    own = source.own_modules(path, function.__module__)
    for name, file in own.items():
        if file.resolve() != path.with_name(f"{name}.py"):
            raise InputError(
                f"{method.label} imports {name} from {file}; a bundle carries {path.name} and modules that lie beside it: "
                f"move it to {path.parent}"
            )
    helpers = {f"{name}.py": file.read_bytes() for name, file in sorted(own.items())}
    _check_source(method, path.name, {path.name: path.read_bytes()} | helpers)
    return {SOURCE: path.read_bytes()} | helpers


def _check_source(method: Method, file: str, contents: dict[str, bytes]) -> None:
    texts = {name: source_rules.text_of(content) for name, content in contents.items()}
    found = list(source_rules.problems(texts))
    if not found and (said := source_rules.contradiction(texts[file], method.label, method.track, method.control_of)):
        found = [f"{file} {said}"]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(f"{found[0]}{more}. No bundle holds such a source: mend it, and run the method again")


def _ticket(results: Path, record: Record, path: str) -> tuple[Ticket, bytes]:
    tensors, note = entry(results, str(record.result.weights))
    content = save(tensors)
    r = record.result
    ticket = Ticket(
        workload=r.workload,
        learning_rate=r.learning_rate,
        sparsity=r.sparsity,
        seed=r.seed,
        model=Architecture.model_validate(note["model"], strict=False),
        origin=Origin(**note["origin"]),
        file=_file(path, content),
    )
    return ticket, content


def _manifest(
    suite: Suite,
    method: Method,
    mine: Sequence[Record],
    authors: Sequence[str],
    paper: str,
    license: str,
    tickets: Sequence[Ticket],
    files: dict[str, bytes],
) -> Manifest:
    environment = {"python": platform.python_version(), "system": platform.platform()}
    try:
        return Manifest(
            suite=Named(name=suite.name, version=suite.version, hash=suite.hash),
            method=method.label,
            authors=tuple(authors),
            paper=paper,
            license=license,
            lthbench=__version__,
            environment=environment | mine[0].provenance.environment,
            source=_file(SOURCE, files[SOURCE]),
            helpers=tuple(Helper(**dict(_file(n, t))) for n, t in files.items() if n.endswith(".py") and n != SOURCE),
            records=_file(RECORDS, files[RECORDS]),
            scores=tuple(claimed_scores(mine)),
            tickets=tuple(tickets),
        )
    except ValidationError as error:
        raise InputError(manifest.first_problem(error)) from None


def _file(path: str, content: bytes) -> File:
    return File(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
