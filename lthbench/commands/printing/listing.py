"""The tables behind `list` and `plan`."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lthbench import suite
from lthbench.bench.estimate import Estimate, estimate
from lthbench.bench.measurement import Measurement, kept
from lthbench.commands.printing import console
from lthbench.data import Manifest, default_folder, overview
from lthbench.methods import citations, registry
from lthbench.models import FAMILIES
from lthbench.runs.driver.job import Job
from lthbench.runs.plan.totals import MethodTotals
from lthbench.runs.store.policy import RUN_KEEPS
from lthbench.suite.trial import unpublished
from lthbench.training import numerics

Table = tuple[list[tuple[Any, ...]], list[str]]


def methods() -> Table:
    found = registry.load_all().values()
    rows = [(m.name, m.track, m.cost, m.control_of or "", m.about, m.cite) for m in found]
    return sorted(rows, key=lambda row: (row[1], row[0])), ["method", "track", "cost", "control of", "what", "citation"]


def bibtex() -> str:
    """Return the papers of all methods as BibTeX."""
    return citations.bibtex(registry.load_all().values())


def suites() -> Table:
    read = [suite.Suite.read(name) for name in suite.names()]
    return [(s.name, s.version, max(s.looks), s.budget, s.about) for s in read], [
        "suite",
        "version",
        "seeds",
        "budget",
        "about",
    ]


def models() -> Table:
    return [(name, build.__module__.removeprefix("lthbench.")) for name, (_, build) in FAMILIES.items()], [
        "model",
        "from",
    ]


def data(folder: Path | None = None) -> Table:
    """Return the data sets that are packed in a folder, and the commands that get the rest."""
    folder = folder or default_folder()
    rows = [_data_row(entry) for entry in overview.entries(folder)]
    return rows, ["data set", "state", "height x width x channels", "classes", "train", "test", "disk"]


def _data_row(entry: overview.Entry) -> tuple[Any, ...]:
    if entry.manifest is None:
        return entry.name, entry.advice, "", "", "", "", console.size(entry.disk) if entry.disk else ""
    channels, height, width = entry.manifest.shape
    sizes = [entry.manifest.sizes.get(split, 0) for split in ("train", "test")]
    state = f"ready, {entry.manifest.skipped} corrupt images left out" if entry.manifest.skipped else "ready"
    shape = f"{height}x{width}x{channels}"
    return entry.name, state, shape, entry.manifest.classes, *sizes, console.size(entry.disk)


LISTS: dict[str, Callable[[], Table]] = {"methods": methods, "suites": suites, "models": models, "data": data}


def plan_rows(job: Job) -> tuple[list[tuple[Any, ...]], list[str], dict[str, Any]]:
    """Return a row for each method, the columns' names, and the sums."""
    plan = job.outline
    rows = [_plan_row(m.label, plan.methods.get(m.label, MethodTotals())) for m in job.methods]
    summary: dict[str, Any] = {
        "suite": unpublished(job.suite) or f"{job.suite.name} {job.suite.version}",
        "runs": plan.count,
        "operations_asked": plan.asked,
        "operations": plan.operations,
        "shared": plan.asked - plan.operations,
        "epochs_charged": round(plan.charged, 6),
        "epochs_computed": round(plan.computed, 6),
        "over_budget": sum(sums.refused for sums in plan.methods.values()),
        "look_at_values": sum(sums.open for sums in plan.methods.values()),
    }
    return rows, ["method", "runs", "operations", "epochs charged", "note"], summary


def disk_rows(job: Job, live: int) -> Table:
    """Return the most bytes for each --keep policy: while `live` runs are running, and when all have ended."""
    plan = job.outline
    rows = [(keep, console.size(plan.room(live, keep)), console.size(plan.kept(keep))) for keep in RUN_KEEPS]
    return rows, ["keep", "disk while running", "disk that stays"]


def hours_rows(estimates: Mapping[suite.Workload, Estimate]) -> Table:
    """Return a row for each workload: hours of its trainings on one device."""
    rows = [(e.workload, round(e.epochs, 6), e.hours, e.basis) for e in estimates.values()]
    return rows, ["workload", "epochs computed", "device hours", "by"]


def parameter_rows(job: Job) -> Table:
    """Return a row for each workload: its parameters, the prunable share, and the kinds that stay dense."""
    rows = [_parameter_row(workload, job.manifests[workload.dataset]) for workload in job.suite.workload]
    return rows, ["workload", "parameters", "prunable", "stays dense"]


def _parameter_row(workload: suite.Workload, manifest: Manifest) -> tuple[Any, ...]:
    model = workload.build(manifest.shape, manifest.classes)
    total = sum(shape.numel() for shape in model.shapes.values())
    dense = ", ".join(f"{count:,} {kind}" for kind, count in model.dense_kinds.items())
    return workload.name, total, f"{100 * model.prunable_count / total:.3g} %", dense


def estimates(job: Job) -> dict[suite.Workload, Estimate]:
    """Return the estimates for each workload from speed measurements on this kind of device."""
    found, epochs = kept(job.home.folder, numerics.environment(job.device)["kind"]), job.outline.epochs
    return {workload: _estimate(job, workload, epochs.get(workload, 0.0), found) for workload in job.suite.workload}


def _estimate(job: Job, workload: suite.Workload, epochs: float, found: list[Measurement]) -> Estimate:
    manifest = job.manifests[workload.dataset]
    model = workload.build(manifest.shape, manifest.classes)
    size = job.suite.limit or manifest.sizes["train"] - job.suite.validation
    return estimate(job.suite, workload, model, size, epochs, found)


def _plan_row(label: str, sums: MethodTotals) -> tuple[Any, ...]:
    note = f"{sums.refused} over budget" if sums.refused else ""
    if sums.open:
        note = "looks at values: at most " + ("what it asks for" if math.isinf(sums.most) else "the budget")
    epochs = f"<= {float(sums.most):g}" if sums.open else f"{float(sums.charged):.6g}"
    return label, sums.runs, sums.asked, epochs, note
