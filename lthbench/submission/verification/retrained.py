"""The third level does runs again from the source, confined: runs that chance drew, and runs that the author never saw.

Of the author's runs, K are drawn and compared with what was handed in. One run more has a seed that no bundle holds, and
one has the classes of the training images permuted: a network that the source carries, or a source that knows its seeds,
gives itself away there.
"""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lthbench.data import DataHome, Manifest
from lthbench.errors import LthbenchError
from lthbench.methods.internals.setting import Setting
from lthbench.pruning.tensors import digest
from lthbench.runs.driver import final_network
from lthbench.runs.records import record as records
from lthbench.runs.records.record import Record, Result
from lthbench.runs.records.trust import Level as LevelName
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.manifest import Architecture, Origin
from lthbench.submission.verification import chance, sandbox
from lthbench.submission.verification.chance import equivalence, shortfall
from lthbench.submission.verification.reevaluated import Measure, check_model
from lthbench.submission.verification.report import finding
from lthbench.submission.verification.sandbox import ConfinedJob, Left, Limits
from lthbench.suite import Cell, Suite

SAME = ("status", "dataset", "classes", "tolerance", "method", "parameters", "source", "track", "control_of", "train",
        "validation", "removed", "prunable", "parameters_total", "layers", "multiplications", "compact", "charged", "off_budget",
        "budget", "epoch", "pipeline", "notes")  # fmt: skip
RECEIPTS = ("charged", "off_budget", "budget", "pipeline", "track", "control_of", "parameters")
Key = tuple[str, float, float, int]


def drawn_seed() -> int:
    """Draw a seed that nobody chose."""
    return int.from_bytes(os.urandom(6))


@dataclass(frozen=True)
class Retrain:
    """How many runs, and the seed of the draw: the verifier's, or drawn now; never the author's."""

    runs: int
    seed: int = field(default_factory=drawn_seed)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Retrained:
    """The level that was tried, its findings, and notes: the seed, the runs that it drew, what confined them."""

    level: LevelName
    findings: tuple[Finding, ...]
    notes: dict[str, Any]


@dataclass(frozen=True)
class Again:
    """A run that was done again."""

    record: Record
    final: final_network.FinalNetwork | None


@dataclass(frozen=True)
class Pair:
    """A run as it was handed in, and as it was done again."""

    handed: Record
    again: Again
    start: final_network.FinalNetwork

    @property
    def cell(self) -> str:
        return _words(_key(self.handed.result))


@dataclass(frozen=True)
class Task:
    """A bundle with everything that its runs need."""

    bundle: Bundle
    suite: Suite
    manifests: Mapping[str, Manifest]
    home: DataHome

    def cell(self, key: Key) -> Cell:
        """Return a cell, whatever its seed."""
        workload = next(w for w in self.suite.workload if w.name == key[0])
        return Cell(workload, *key[1:])

    def setting(self, key: Key) -> Setting:
        cell = self.cell(key)
        return Setting(self.suite, cell, self.manifests[cell.workload.dataset])


def retrained(
    bundle: Bundle, suite: Suite, manifests: Mapping[str, Manifest], home: DataHome, how: Retrain
) -> Retrained:
    """Do runs again. InputError where this system cannot confine them."""
    task, rng = Task(bundle, suite, manifests, home), random.Random(how.seed)
    drawn = draw(bundle, how)
    fresh = (*rng.choice(drawn)[:3], chance.seed(rng))
    permuted = rng.choice(drawn)
    with Measure.of(home) as measure:
        findings, same = _drawn(task, [*drawn, fresh], how, measure)
        level: LevelName = "re-trained" if same else "re-trained-within-tolerance"
        if all(one.passed for one in findings):
            findings.append(_permuted(task, permuted, rng, how, measure))
    notes: dict[str, Any] = {"seed": how.seed, "drawn": [_words(key) for key in drawn], "limits": how.limits.words}
    notes["unseen"] = [_words(fresh), f"{_words(permuted)}, classes permuted"]
    notes["confined"] = sandbox.confinement()
    return Retrained(level, (finding("confined", [], f"{notes['confined']}; {how.limits.words}"), *findings), notes)


def draw(bundle: Bundle, how: Retrain) -> list[Key]:
    """Return the runs that a seed draws."""
    every = sorted(_key(record.result) for record in bundle.records)
    return sorted(random.Random(how.seed).sample(every, min(how.runs, len(every))))


def _drawn(task: Task, keys: list[Key], how: Retrain, measure: Measure) -> tuple[list[Finding], bool]:
    """Compare the runs that were drawn with what was handed in, and the last of `keys`, which is fresh, with its cell.

    Also returns whether bit for bit was asked.
    """
    *drawn, fresh = keys
    with sandbox.run(_job(task, keys), how.limits) as left:
        came, problems = _came(task, left)
        findings = _ran(left, f"{len(keys)} runs, drawn by seed {how.seed}")
        pairs, missed = _pairs(task, drawn, came)
        gone = [f"{_words(fresh)}: did not come out"] if fresh not in came else []
        findings.append(finding("runs", [*problems, *missed, *gone], "every run that was drawn came out"))
    if not findings[-1].passed:
        return findings, False
    same = all(measure.same_environment(pair.handed) for pair in pairs)
    findings += _bit_for_bit(pairs) if same else [_receipts(pairs), _equivalent(task, pairs, measure)]
    accuracy = _accuracy(task, fresh, came[fresh], measure)
    findings.append(_unseen("fresh seed", task, fresh, accuracy))
    return findings, same


def _permuted(task: Task, key: Key, rng: random.Random, how: Retrain, measure: Measure) -> Finding:
    """Do a run again on training images whose classes are permuted, and ask it for the permuted classes."""
    order = chance.permutation(task.setting(key).manifest.classes, rng)
    with sandbox.run(_job(task, [key], order), how.limits) as left:
        came, problems = _came(task, left)
    if key not in came:
        why = left.ended or next(iter(problems), "it did not come out")
        return finding("permuted classes", [f"{_words(key)}: {why}"], "")
    return _unseen("permuted classes", task, key, _accuracy(task, key, came[key], measure, order))


def _job(task: Task, keys: list[Key], order: list[int] | None = None) -> ConfinedJob:
    named = task.bundle.manifest.method
    return ConfinedJob(
        task.bundle.sources, named, [task.cell(key) for key in keys], task.suite, task.manifests, task.home, order
    )


def _ran(left: Left, what: str) -> list[Finding]:
    told = [f"the method tried to {tried}" for tried in left.tried]
    quiet = (
        "no attempt was told" if left.told else "not told: the code closed what tells; the kernel refused all the same"
    )
    return [finding("ran", [left.ended], what), finding("attempts", told, quiet)]


def _came(task: Task, left: Left) -> tuple[dict[Key, Again], list[str]]:
    """Return what came out by cell, and what of it cannot be read."""
    found: dict[Key, Again] = {}
    problems = []
    for run in left.runs:
        try:
            record = records.parse(str(run["record"]), "a run done again")
            final = _final(task, run, left, record) if record.result.weights else None
            found[_key(record.result)] = Again(record, final)
        except (LthbenchError, ValueError, KeyError, TypeError, StopIteration) as error:
            problems.append(f"what it left cannot be read: {str(error)[:200]}")
    return found, problems


def _final(task: Task, run: Mapping[str, Any], left: Left, record: Record) -> final_network.FinalNetwork:
    """Read the network that a run left, as carefully as one that was handed in."""
    model = Architecture.model_validate(run["model"], strict=False).model
    check_model(model, task.setting(_key(record.result)))
    origin = Origin.model_validate(run["origin"]).model_dump(exclude_none=True)
    content = left.content(str(run["file"]), bundles.largest(model))
    return bundles.final(model, origin, content, "a run done again")


def _pairs(task: Task, drawn: list[Key], came: Mapping[Key, Again]) -> tuple[list[Pair], list[str]]:
    """Return what was handed in beside what came out, and what did not come out."""
    handed = {_key(record.result): record for record in task.bundle.records}
    tickets = {ticket.cell: ticket for ticket in task.bundle.manifest.tickets}
    trusted = {w.model for w in task.suite.workload}
    pairs = [Pair(handed[k], came[k], task.bundle.final(tickets[k], trusted)) for k in drawn if k in came]
    problems = [f"{_words(key)}: did not come out" for key in drawn if key not in came]
    problems += [f"{p.cell}: {p.again.record.result.status}: {p.again.record.result.reason}" for p in pairs
                 if p.again.record.result.status != p.handed.result.status]  # fmt: skip
    return pairs, problems


def _bit_for_bit(pairs: list[Pair]) -> list[Finding]:
    return [
        finding("networks", map(_other_network, pairs), f"{len(pairs)} networks, bit for bit"),
        finding("starts", map(_other_start, pairs), "the same start weights, bit for bit"),
        _receipts(pairs),
        finding("records", (_differs(p, SAME) for p in pairs), "the same counts"),
    ]


def _receipts(pairs: list[Pair]) -> Finding:
    return finding("charges", (_differs(p, RECEIPTS) for p in pairs), "the same receipts")


def _other_network(pair: Pair) -> str | None:
    if pair.again.final is None:
        return f"{pair.cell}: the source gives no network"
    state = pair.again.final.state
    same = (digest(state.params | state.buffers), digest(state.mask)) == (
        pair.handed.result.weights, pair.handed.result.mask_digest,
    )  # fmt: skip
    return None if same else f"{pair.cell}: the source gives another network than the one handed in"


def _other_start(pair: Pair) -> str | None:
    if pair.again.final is None:
        return None
    given, again = (digest(f.start.params | f.start.buffers) for f in (pair.start, pair.again.final))
    same = given == again and pair.start.origin == pair.again.final.origin
    return None if same else f"{pair.cell}: the last training starts from other weights than those handed in"


def _differs(pair: Pair, names: tuple[str, ...]) -> str | None:
    a, b = pair.handed.result, pair.again.record.result
    name = next((name for name in names if getattr(a, name) != getattr(b, name)), None)
    return name and f"{pair.cell}: {name} is {getattr(b, name)}, the record says {getattr(a, name)}"


def _equivalent(task: Task, pairs: list[Pair], measure: Measure) -> Finding:
    """Compare accuracies in another environment, in units of the workload's tolerance."""
    gaps = []
    for pair in pairs:
        said, again = pair.handed.result, _accuracy(task, _key(pair.handed.result), pair.again, measure)
        if said.test is not None and again is not None:
            gaps.append((again - said.test.percent) / said.tolerance)
    return equivalence(gaps)


def _accuracy(task: Task, key: Key, again: Again, measure: Measure, order: list[int] | None = None) -> float | None:
    """Measure the test accuracy of a run done again, in percent, where classes were permuted of the permuted ones."""
    return None if again.final is None else measure.accuracy(again.final, task.setting(key), order)


def _unseen(check: str, task: Task, key: Key, accuracy: float | None) -> Finding:
    """Compare a run that the author never saw with the runs of its cell."""
    if accuracy is None:
        return finding(check, [f"{_words(key)}: it gave no network"], "")
    by_cell: dict[Key, list[float]] = {}
    for r in (record.result for record in task.bundle.records):
        if r.test is not None and r.workload == key[0]:
            by_cell.setdefault((*_key(r)[:3], 0), []).append(r.test.percent)
    here = by_cell[(*key[:3], 0)]
    gap, most = shortfall(here, list(by_cell.values()), accuracy, task.cell(key).workload.tolerance)
    words = f"{accuracy:.1f} %, {gap:.1f} pp below the cell's mean; up to {most:.1f} is chance"
    return finding(check, [f"{_words(key)}: {words}" if gap > most else None], f"{_words(key)}: {words}")


def _key(r: Result) -> Key:
    return r.workload, r.learning_rate, r.sparsity, r.seed


def _words(key: Key) -> str:
    return f"{key[0][:60]} lr {key[1]:g} sparsity {key[2]:g} seed {key[3]}"
