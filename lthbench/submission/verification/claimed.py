"""The first level checks that a bundle's claims agree with each other. It runs no code, loads no weights and needs no data."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator

from pydantic import ValidationError

from lthbench import source
from lthbench._version import __version__
from lthbench.data.known import KNOWN
from lthbench.methods.internals.ledger import spent
from lthbench.methods.internals.setting import training_fingerprint
from lthbench.pruning.allocate import removed_count
from lthbench.runs.records.record import Count, Record, Result
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle import source_rules
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.completeness import asked, missing
from lthbench.submission.bundle.manifest import texts
from lthbench.submission.bundle.plain import plain_text
from lthbench.submission.bundle.submit import claimed_scores
from lthbench.submission.verification.names import taken
from lthbench.submission.verification.report import finding
from lthbench.suite import Suite

PHASES = {"train", "score", "validate"}
TEXT = 5000  # characters of one text of a record
FACTOR = 10
CLASSES = {name: known.classes for name, known in KNOWN.items()} | {"digits": 10}
_TRAINED = re.compile(r"(?:^|→ )train (\d{1,12}(?:\.\d{1,12})?(?:e[+-]\d{1,2})?)(?= |$)")
_ENVIRONMENT = {"device", "kind", "instructions", "torch", "cuda"}
_PLAIN_VALUE = re.compile(r"(?!.*www\.)[A-Za-z0-9][A-Za-z0-9 .,+/@()-]{0,99}|", re.IGNORECASE)


def claimed(bundle: Bundle, suite: Suite, given: bool = False) -> list[Finding]:
    """Check everything that can be read off a bundle whose schema and hashes are right. `given`: the suite is the caller's."""
    results = [record.result for record in bundle.records]
    problem = _suite(bundle, suite)
    if problem or not results:
        return [finding("suite", [problem or "there are no records"], "")]
    text = "the text of --suite" if given else "the text that comes with lthbench"
    return [
        finding("suite", [], f"{suite.name} {suite.version}, {text}"),
        finding("name", [taken(bundle.manifest.method)], f"{bundle.manifest.method} is a name of its own"),
        finding("texts", _texts(bundle.records), "show what they say"),
        finding("records", _records(bundle, suite, results), f"{len(results)} runs of {bundle.manifest.method}"),
        finding("source", _source(bundle, results), "the code that the records name"),
        finding("complete", [missing(suite, bundle.records)], "every run that the suite asks for"),
        finding("tickets", _tickets(bundle), f"one for each of {len(bundle.manifest.tickets)} runs"),
        finding("data", _data(suite, results), "one set of fingerprints for each data set"),
        finding("counts", map(_counts, results), "sparsity as asked; no count exceeds its whole"),
        finding("budget", (_budget(suite, r) for r in results), _spent(results)),
        finding("epochs", map(_epochs, bundle.records), f"at most {FACTOR} times as many computed as charged"),
        finding("seeds", _seeds(results), "every run has weights of its own"),
        finding("statistics", _statistics(bundle), "the means are those of the records"),
    ]


def _suite(bundle: Bundle, suite: Suite) -> str | None:
    named = bundle.manifest.suite
    if (named.name, named.version, named.hash) == (suite.name, suite.version, suite.hash):
        return None
    return f"made under {named.name} {named.version} ({named.hash[:8]}), not {suite.name} {suite.version} ({suite.hash[:8]})"


def _texts(records: tuple[Record, ...]) -> Iterator[str]:
    for record in records:
        for text in texts(record.model_dump(mode="json", exclude={"result": {"correct"}})):
            try:
                plain_text(text, TEXT)
            except ValueError as error:
                yield f"{_where(record.result)}: a text {error}"
        said = record.provenance.environment
        if said.keys() != _ENVIRONMENT or not all(map(_PLAIN_VALUE.fullmatch, said.values())):
            yield f"{_where(record.result)}: its environment is not {', '.join(sorted(_ENVIRONMENT))} in plain words"


def _records(bundle: Bundle, suite: Suite, results: list[Result]) -> Iterator[str | None]:
    first = results[0]
    grid = {(c.workload.name, c.learning_rate, c.sparsity, c.seed): c for c in asked(suite, first)}
    seen = set()
    for r in results:
        cell = (r.workload, r.learning_rate, r.sparsity, r.seed)
        if cell in seen:
            yield f"{_where(r)}: stands twice"
        elif cell not in grid:
            yield f"{_where(r)}: is not a cell that the suite has for a {_kind(first)}"
        elif (r.suite, r.suite_version, r.suite_hash) != (suite.name, suite.version, suite.hash):
            yield f"{_where(r)}: was made under {r.suite} {r.suite_version}, not {suite.name} {suite.version}"
        elif r.method != bundle.manifest.method:
            yield f"{_where(r)}: is of method {r.method!r}, not {bundle.manifest.method!r}"
        elif r.version.split(".")[:2] != __version__.split(".")[:2]:
            yield f"{_where(r)}: was made by lthbench {r.version}, this is {__version__}; Major.Minor must agree"
        elif (r.dataset, r.tolerance) != (grid[cell].workload.dataset, grid[cell].workload.tolerance):
            yield f"{_where(r)}: its data set or tolerance is not the suite's"
        elif (r.track, r.control_of, r.parameters) != (first.track, first.control_of, first.parameters):
            yield f"{_where(r)}: its track, control or parameters differ from those of the other runs"
        elif any(str(r.parameters.get(name)) != value for name, value in given_parameters(r.method).items()):
            yield f"{_where(r)}: its parameters are not those of {r.method!r}"
        elif r.status == "failed":
            yield f"{_where(r)}: failed; a submission holds no failed run"
        seen.add(cell)


def given_parameters(label: str) -> dict[str, str]:
    """Return the parameters that stand in the brackets of a label, as they are written there."""
    inside = label.partition("[")[2].removesuffix("]")
    return {name: value for name, _, value in (item.partition("=") for item in inside.split(",") if item)}


def _kind(r: Result) -> str:
    return f"{r.track} {'control' if r.control_of else 'method'}"


def _source(bundle: Bundle, results: list[Result]) -> Iterator[str]:
    wrong = list(source_rules.problems(bundle.sources))
    yield from wrong
    digests = {path.removesuffix(".py"): source.digest_of(text) for path, text in bundle.sources.items()}
    digest = source.joined(digests.pop("method"), digests)
    yield from (f"{_where(r)}: was made by other code than the bundle holds" for r in results if r.source != digest)
    if wrong:
        return
    first = results[0]
    if said := source_rules.contradiction(bundle.source, bundle.manifest.method, first.track, first.control_of):
        yield f"method.py {said}"


def _tickets(bundle: Bundle) -> Iterator[str]:
    runs = {(r.workload, r.learning_rate, r.sparsity, r.seed): r for r in (rec.result for rec in bundle.records)}
    cells = {ticket.cell for ticket in bundle.manifest.tickets}
    yield from (f"{_where(r)}: has no ticket" for c, r in runs.items() if c not in cells)
    yield from (f"a ticket of {cell} has no run" for cell in cells if cell not in runs)


def _data(suite: Suite, results: list[Result]) -> Iterator[str]:
    first: dict[str, Result] = {}
    for r in results:
        same = first.setdefault(r.dataset, r)
        if (_examples(r), r.classes, r.epoch) != (_examples(same), same.classes, same.epoch):
            yield f"{_where(r)}: its data are not those of {_where(same)}"
        if r.classes != CLASSES.get(r.dataset, r.classes):
            yield f"{_where(r)}: {r.classes} classes, {r.dataset} has {CLASSES[r.dataset]}"
        training = training_fingerprint(suite, str(r.fingerprints.get("train")))
        if r.fingerprints.get("training") != training:
            yield f"{_where(r)}: the training examples are not what validation = {suite.validation} leaves"


def _examples(r: Result) -> dict[str, str]:
    """Return the fingerprints of the examples, without that of the workload's start."""
    return {name: digest for name, digest in r.fingerprints.items() if name != "start"}


def _counts(r: Result) -> str | None:
    counts: list[Count | None] = [r.test, r.train, r.validation, *(kept.test for kept in r.kept.values())]
    if any(c is not None and not 0 <= c.right <= c.of for c in counts):
        return f"{_where(r)}: more right answers than examples"
    if None in (r.test, r.train, r.removed, r.prunable, r.parameters_total, r.mask_digest, r.weights):
        return f"{_where(r)}: a run lacks a count or a digest; a diverged run hands in its network too"
    prunable, removed = int(r.prunable or 0), int(r.removed or 0)
    if any(not 0 <= gone <= size for gone, size in r.layers.values()):
        return f"{_where(r)}: a layer has more weights removed than it has"
    if removed != prunable - sum(size - gone for gone, size in r.layers.values()):
        return f"{_where(r)}: {removed} removed is not the sum over its layers"
    if not removed_count(prunable, r.sparsity) <= removed <= prunable:
        asked = removed_count(prunable, r.sparsity)
        return f"{_where(r)}: {removed} of {prunable} weights are removed, {asked} were asked for"
    return None


def _budget(suite: Suite, r: Result) -> str | None:
    """Add up the receipts: the phases to no more than the budget, and the training to what the pipeline says."""
    epochs = suite.budget_epochs(r.sparsity)
    if r.charged.keys() != PHASES:
        return f"{_where(r)}: charges are counts of examples by {', '.join(sorted(PHASES))}"
    if r.budget != (None if epochs is None else round(epochs * r.epoch)):
        return f"{_where(r)}: the budget is {epochs} epochs of {r.epoch} examples, not {r.budget} examples"
    if r.budget is not None and spent(r.charged, r.epoch) > r.budget:
        return f"{_where(r)}: {spent(r.charged, r.epoch)} examples are charged, the budget is {r.budget}"
    said = sum(map(float, _TRAINED.findall(r.pipeline)))
    if not math.isfinite(said):
        return f"{_where(r)}: its pipeline trains without end"
    charged = (r.charged["train"] + sum(r.off_budget.values())) / r.epoch
    slack = 0.5 / r.epoch + 1e-5 * said  # the pipeline has six digits
    if charged > said + slack + sum(r.off_budget.values()) / r.epoch or (_plain(r) and charged < said - slack):
        return f"{_where(r)}: {charged:g} epochs of training are charged, its pipeline says {said:g}"
    return None


def _epochs(record: Record) -> str | None:
    r, said = record.result, record.provenance
    charged = (sum(r.charged.values()) + sum(r.off_budget.values())) / r.epoch
    if said.epochs_computed <= FACTOR * charged:  # trainings that runs share go on to the farthest stop
        return None
    return f"{_where(r)}: {said.epochs_computed:g} epochs were computed, {charged:g} are charged"


def _plain(r: Result) -> bool:
    """Say whether every training in the pipeline starts elsewhere, so that none can be charged once for two."""
    sources = [e for e in r.pipeline.split(" → ") if not re.match(r"(train|mask) \d", e)]
    return not r.off_budget and len(sources) == len(set(sources))


def _spent(results: list[Result]) -> str:
    epochs = [spent(r.charged, r.epoch) / r.epoch for r in results if r.charged.keys() == PHASES]
    return f"receipts add up; at most {max(epochs, default=0):g} epochs are charged"


def _seeds(results: list[Result]) -> Iterator[str]:
    by_weights: dict[str, list[Result]] = defaultdict(list)
    for r in results:
        if r.weights is not None:
            by_weights[r.weights].append(r)
    for first, *others in by_weights.values():
        yield from (f"{_where(r)}: has the weights of seed {first.seed}" for r in others if r.seed != first.seed)


def _statistics(bundle: Bundle) -> Iterator[str]:
    try:
        found = {(s.workload, s.learning_rate, s.sparsity): s for s in claimed_scores(bundle.records)}
    except ValidationError:
        yield "the records are of workloads that no suite has"
        return
    said = {(s.workload, s.learning_rate, s.sparsity): s for s in bundle.manifest.scores}
    if found.keys() != said.keys() or len(said) < len(bundle.manifest.scores):
        yield "the manifest's scores are of other cells than its records"
    for cell, score in said.items():
        if cell in found and found[cell] != score:
            yield f"{cell}: the manifest says {score.mean} over {score.n} runs, the records give {found[cell].mean} over {found[cell].n}"


def _where(r: Result) -> str:
    return f"{r.workload[:60]} lr {r.learning_rate:g} sparsity {r.sparsity:g} seed {r.seed}"
