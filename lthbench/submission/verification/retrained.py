"""The third level: runs drawn by chance are done again from the source, confined, and compared with what was handed in."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scipy import stats

from lthbench.data import DataHome, Manifest
from lthbench.errors import LthbenchError
from lthbench.methods.internals.setting import Setting
from lthbench.pruning.tensors import digest
from lthbench.runs.driver import final_network
from lthbench.runs.records import record as records
from lthbench.runs.records.record import Record, Result
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.manifest import Architecture, Origin
from lthbench.submission.verification import sandbox
from lthbench.submission.verification.jail import landlock
from lthbench.submission.verification.reevaluated import Measure
from lthbench.submission.verification.report import finding
from lthbench.submission.verification.sandbox import Left, Limits
from lthbench.suite import Suite

SAME = ("status", "train", "validation", "removed", "prunable", "parameters_total", "layers", "charged", "off_budget", "budget",
        "epoch", "pipeline", "notes")  # fmt: skip
ALPHA = 0.05
Cell = tuple[str, float, float, int]


def drawn_seed() -> int:
    """A seed that nobody chose."""
    return int.from_bytes(os.urandom(6))


@dataclass(frozen=True)
class Retrain:
    """How many runs, and the seed of the draw: the verifier's, or drawn now; never the author's."""

    runs: int
    seed: int = field(default_factory=drawn_seed)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Pair:
    """A run as it was handed in, and as it was done again."""

    handed: Record
    again: Record
    start: final_network.FinalNetwork | None
    final: final_network.FinalNetwork | None

    @property
    def cell(self) -> str:
        return _words(_cell(self.handed.result))


def retrained(
    bundle: Bundle, suite: Suite, manifests: Mapping[str, Manifest], home: DataHome, how: Retrain
) -> tuple[list[Finding], dict[str, Any]]:
    """The findings, and what to note: the seed, the runs that it drew, what confined them."""
    drawn = draw(bundle, how)
    notes = {"seed": how.seed, "drawn": [_words(cell) for cell in drawn], "limits": how.limits.words}
    notes["confined"] = f"Landlock ABI {landlock.abi()}, seccomp, rlimits, an empty environment, no test data"
    with sandbox.job(bundle.source, bundle.manifest.method, drawn, suite, manifests, home, how.limits) as left:
        findings = [
            finding("confined", [], f"{notes['confined']}; {how.limits.words}"),
            finding("ran", [left.ended], f"{len(drawn)} runs, drawn by seed {how.seed}"),
            finding("attempts", [f"the method tried to {tried}" for tried in left.tried], "nothing was refused"),
        ]
        pairs, problems = _pairs(bundle, drawn, left)
        findings.append(finding("runs", problems, "every run that was drawn came out"))
        if not problems:
            findings += _compared(bundle, pairs, suite, manifests, home)
    return findings, notes


def draw(bundle: Bundle, how: Retrain) -> list[Cell]:
    """The runs that a seed draws."""
    every = sorted(_cell(record.result) for record in bundle.records)
    return sorted(random.Random(how.seed).sample(every, min(how.runs, len(every))))


def _pairs(bundle: Bundle, drawn: list[Cell], left: Left) -> tuple[list[Pair], list[str]]:
    """What was handed in beside what came out, and what did not come out."""
    handed = {_cell(record.result): record for record in bundle.records}
    tickets = {ticket.cell: ticket for ticket in bundle.manifest.tickets}
    found: dict[Cell, Pair] = {}
    problems = []
    for run in left.runs:
        try:
            again = records.parse(str(run["record"]), "a run done again")
            cell = _cell(again.result)
            start = bundle.final(tickets[cell]) if cell in tickets else None
            found[cell] = Pair(handed[cell], again, start, _final(run, left) if again.result.status == "ok" else None)
        except (LthbenchError, ValueError, KeyError, TypeError) as error:
            problems.append(f"what it left cannot be read: {str(error)[:200]}")
    problems += [f"{_words(cell)}: did not come out" for cell in drawn if cell not in found]
    problems += [f"{p.cell}: {p.again.result.status}: {p.again.result.reason}" for p in found.values()
                 if p.again.result.status != p.handed.result.status]  # fmt: skip
    return [found[cell] for cell in drawn if cell in found], problems


def _final(run: Mapping[str, Any], left: Left) -> final_network.FinalNetwork:
    """The network that a run left, read as carefully as one that was handed in."""
    model = Architecture.model_validate(run["model"], strict=False).model
    origin = Origin.model_validate(run["origin"]).model_dump(exclude_none=True)
    return bundles.final(model, origin, left.content(str(run["file"])), "a run done again")


def _compared(
    bundle: Bundle, pairs: list[Pair], suite: Suite, manifests: Mapping[str, Manifest], home: DataHome
) -> list[Finding]:
    """Bit for bit on the build that the records are from; by an equivalence test on another."""
    charges = finding(
        "charges", (_differs(p, ("charged", "off_budget", "budget", "pipeline")) for p in pairs), "the same receipts"
    )
    if all(p.handed.provenance.environment == p.again.provenance.environment for p in pairs):
        return [
            finding("networks", map(_other_network, pairs), f"{len(pairs)} networks, bit for bit"),
            finding("starts", map(_other_start, pairs), "the same start weights, bit for bit"),
            charges,
            finding("records", (_differs(p, SAME) for p in pairs), "the same counts"),
        ]
    return [charges, _equivalent(pairs, suite, manifests, home)]


def _other_network(pair: Pair) -> str | None:
    if pair.final is None:
        return None
    weights, mask = digest(pair.final.state.params | pair.final.state.buffers), digest(pair.final.state.mask)
    same = (weights, mask) == (pair.handed.result.weights, pair.handed.result.mask_digest)
    return None if same else f"{pair.cell}: the source gives another network than the one handed in"


def _other_start(pair: Pair) -> str | None:
    if pair.final is None or pair.start is None:
        return None
    given, again = (digest(f.start.params | f.start.buffers) for f in (pair.start, pair.final))
    same = given == again and pair.start.origin == pair.final.origin
    return None if same else f"{pair.cell}: the last training starts from other weights than those handed in"


def _differs(pair: Pair, names: tuple[str, ...]) -> str | None:
    a, b = pair.handed.result, pair.again.result
    name = next((name for name in names if getattr(a, name) != getattr(b, name)), None)
    return name and f"{pair.cell}: {name} is {getattr(b, name)}, the record says {getattr(a, name)}"


def _equivalent(pairs: list[Pair], suite: Suite, manifests: Mapping[str, Manifest], home: DataHome) -> Finding:
    """Two one-sided t tests (Schuirmann 1987) on the paired differences, within the workload's tolerance, at 5 %."""
    by_cell = {(c.workload.name, c.learning_rate, c.sparsity, c.seed): c
               for c in (*suite.cells(), *suite.cells(dense=True))}  # fmt: skip
    with TemporaryDirectory(prefix="lthbench-verify-") as folder:
        measure = Measure(Path(folder), home)
        gaps = []
        for number, pair in enumerate(pairs):
            if pair.final is None or pair.handed.result.test is None:
                continue
            cell = by_cell[_cell(pair.handed.result)]
            setting = Setting(suite, cell, manifests[cell.workload.dataset])
            right, of = measure.evaluate(pair.final, setting, f"again {number}").right["test"]
            gaps.append((100 * right / of - pair.handed.result.test.percent) / pair.handed.result.tolerance)
    return equivalence(gaps)


def equivalence(gaps: list[float]) -> Finding:
    """Whether differences, in units of the tolerance, are shown to lie within one."""
    if len(gaps) < 2:
        return finding("equivalence", ["another build: at least two runs are needed; --retrain 5 draws five"], "")
    worst = max(abs(gap) for gap in gaps)
    if worst == min(gaps) == max(gaps) == 0:
        return finding("equivalence", [], f"{len(gaps)} runs on another build, the same accuracies")
    p = max(
        stats.ttest_1samp(gaps, -1, alternative="greater").pvalue, stats.ttest_1samp(gaps, 1, alternative="less").pvalue
    )
    problem = (
        None
        if p < ALPHA
        else f"on another build, not shown to be within the tolerance (p = {p:.3g}, worst {worst:.2g} of it)"
    )
    return finding("equivalence", [problem], f"{len(gaps)} runs on another build, within the tolerance (p = {p:.2g})")


def _cell(r: Result) -> Cell:
    return r.workload, r.learning_rate, r.sparsity, r.seed


def _words(cell: Cell) -> str:
    return f"{cell[0][:60]} lr {cell[1]:g} sparsity {cell[2]:g} seed {cell[3]}"
