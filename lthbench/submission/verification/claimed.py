"""The first level: what a bundle claims holds together. Runs nothing, loads no weights and needs no data."""

import re
from collections import defaultdict
from collections.abc import Iterator

from lthbench import keys, source
from lthbench._version import __version__
from lthbench.methods.internals.ledger import spent
from lthbench.pruning.allocate import removed_count
from lthbench.runs.records.record import Count, Record, Result
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.completeness import missing
from lthbench.submission.bundle.manifest import plain_text, texts
from lthbench.submission.bundle.submit import claimed_scores
from lthbench.submission.verification.report import finding
from lthbench.suite import Suite

PHASES = {"train", "score", "validate"}
_TRAINED = re.compile(r"(?:^|→ )train (\d+(?:\.\d+)?(?:e[+-]\d+)?)(?= |$)")


def claimed(bundle: Bundle, suite: Suite) -> list[Finding]:
    """Schema and hashes were checked when the bundle was opened; this is everything else that can be read off it."""
    results = [record.result for record in bundle.records]
    if (problem := _suite(bundle, suite)) or not results:
        return [finding("suite", [problem or "there are no records"], "")]
    return [
        finding("suite", [], f"{suite.name} {suite.version}, the text that comes with lthbench"),
        finding("texts", _texts(bundle.records), "show what they say"),
        finding("records", _records(bundle, suite, results), f"{len(results)} runs of {bundle.manifest.method}"),
        finding("source", _source(bundle, results), "the code that the records name"),
        finding("complete", [missing(suite, results[0].track, bundle.records)], "every run that the suite asks for"),
        finding("tickets", _tickets(bundle), f"one for each of {len(bundle.manifest.tickets)} runs with a result"),
        finding("data", _data(suite, results), "one set of fingerprints for each data set"),
        finding("counts", map(_counts, results), "sparsity as asked; no count exceeds its whole"),
        finding("budget", (_budget(suite, r) for r in results), _spent(results)),
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
                plain_text(text)
                if len(text) > 5000:
                    raise ValueError(f"has {len(text)} characters")
            except ValueError as error:
                yield f"{_where(record.result)}: a text {error}"


def _records(bundle: Bundle, suite: Suite, results: list[Result]) -> Iterator[str | None]:
    grid = {(c.workload.name, c.learning_rate, c.sparsity, c.seed): c for c in suite.cells()}
    grid |= {(c.workload.name, c.learning_rate, c.sparsity, c.seed): c for c in suite.cells(dense=True)}
    seen = set()
    first = results[0]
    for r in results:
        cell = (r.workload, r.learning_rate, r.sparsity, r.seed)
        if cell in seen:
            yield f"{_where(r)}: stands twice"
        elif cell not in grid:
            yield f"{_where(r)}: is no cell of the suite"
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
        elif r.status == "failed":
            yield f"{_where(r)}: failed; a submission holds no failed run"
        seen.add(cell)


def _source(bundle: Bundle, results: list[Result]) -> Iterator[str]:
    digest = source.digest_of(bundle.source)
    yield from (f"{_where(r)}: was made by other code than the bundle holds" for r in results if r.source != digest)


def _tickets(bundle: Bundle) -> Iterator[str]:
    runs = {(r.workload, r.learning_rate, r.sparsity, r.seed): r for r in (rec.result for rec in bundle.records)}
    cells = {ticket.cell for ticket in bundle.manifest.tickets}
    yield from (f"{_where(r)}: has no ticket" for c, r in runs.items() if r.status == "ok" and c not in cells)
    yield from (f"a ticket of {cell} has no run with a result" for cell in cells if not _has_result(runs.get(cell)))


def _has_result(result: Result | None) -> bool:
    return result is not None and result.status == "ok"


def _data(suite: Suite, results: list[Result]) -> Iterator[str]:
    first: dict[str, Result] = {}
    for r in results:
        same = first.setdefault(r.dataset, r)
        if (r.fingerprints, r.classes, r.epoch) != (same.fingerprints, same.classes, same.epoch):
            yield f"{_where(r)}: its data are not those of {_where(same)}"
        training = keys.key("training examples", r.fingerprints.get("train"), suite.validation)
        if r.fingerprints.get("training") != training:
            yield f"{_where(r)}: the training examples are not what validation = {suite.validation} leaves"


def _counts(r: Result) -> str | None:
    counts: list[Count | None] = [r.test, r.train, r.validation, *(kept.test for kept in r.kept.values())]
    if any(c is not None and not 0 <= c.right <= c.of for c in counts):
        return f"{_where(r)}: more right answers than examples"
    if r.status != "ok":
        return None
    if None in (r.test, r.train, r.removed, r.prunable, r.parameters_total, r.mask_digest, r.weights):
        return f"{_where(r)}: a run with a result lacks one"
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
    """Whether the receipts add up: the phases to no more than the budget, and the training to what the pipeline says."""
    epochs = suite.budget_epochs(r.sparsity)
    if r.epoch < 1 or r.charged.keys() != PHASES or min(*r.charged.values(), *r.off_budget.values(), 0) < 0:
        return f"{_where(r)}: charges are counts of examples by {', '.join(sorted(PHASES))}"
    if r.budget != (None if epochs is None else round(epochs * r.epoch)):
        return f"{_where(r)}: the budget is {epochs} epochs of {r.epoch} examples, not {r.budget} examples"
    if r.budget is not None and spent(r.charged, r.epoch) > r.budget:
        return f"{_where(r)}: {spent(r.charged, r.epoch)} examples are charged, the budget is {r.budget}"
    said = sum(map(float, _TRAINED.findall(r.pipeline)))
    charged = (r.charged["train"] + sum(r.off_budget.values())) / r.epoch
    slack = 0.5 / r.epoch + 1e-5 * said  # the pipeline has six digits
    if charged > said + slack + sum(r.off_budget.values()) / r.epoch or (_plain(r) and charged < said - slack):
        return f"{_where(r)}: {charged:g} epochs of training are charged, its pipeline says {said:g}"
    return None


def _plain(r: Result) -> bool:
    """Whether every training in the pipeline starts elsewhere, so that none can be charged once for two."""
    sources = [e for e in r.pipeline.split(" → ") if not re.match(r"(train|mask) \d", e)]
    return not r.off_budget and len(sources) == len(set(sources))


def _spent(results: list[Result]) -> str:
    epochs = [spent(r.charged, r.epoch) / r.epoch for r in results if r.epoch and r.charged.keys() == PHASES]
    return f"receipts add up; at most {max(epochs, default=0):g} epochs are charged"


def _seeds(results: list[Result]) -> Iterator[str]:
    by_weights: dict[str, list[Result]] = defaultdict(list)
    for r in results:
        if r.weights is not None and r.status == "ok":
            by_weights[r.weights].append(r)
    for first, *others in by_weights.values():
        yield from (f"{_where(r)}: has the weights of seed {first.seed}" for r in others if r.seed != first.seed)


def _statistics(bundle: Bundle) -> Iterator[str]:
    found = {(s.workload, s.learning_rate, s.sparsity): s for s in claimed_scores(bundle.records)}
    said = {(s.workload, s.learning_rate, s.sparsity): s for s in bundle.manifest.scores}
    if found.keys() != said.keys() or len(said) < len(bundle.manifest.scores):
        yield "the manifest's scores are of other cells than its records"
    for cell, score in said.items():
        if cell in found and found[cell] != score:
            yield f"{cell}: the manifest says {score.mean} over {score.n} runs, the records give {found[cell].mean} over {found[cell].n}"


def _where(r: Result) -> str:
    return f"{r.workload[:60]} lr {r.learning_rate:g} sparsity {r.sparsity:g} seed {r.seed}"
