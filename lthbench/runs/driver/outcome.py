"""What stands on a run's record beside what was found: the run itself, its charge, and where it was computed."""

import platform
from typing import Any

from lthbench import keys
from lthbench._version import __version__
from lthbench.methods.internals.context import RunContext
from lthbench.methods.internals.setting import Setting
from lthbench.methods.registry import Method
from lthbench.runs.records.record import LearningCurve, Provenance, Record, Result


def heading(method: Method, context: RunContext) -> dict[str, Any]:
    """Return the part of an outcome that every run has: suite, cell, method, charge and pipeline."""
    setting, ledger = context.setting, context.ledger
    suite, cell = setting.suite, setting.cell
    return {
        "suite": suite.name,
        "suite_version": suite.version,
        "suite_hash": suite.hash,
        "workload": cell.workload.name,
        "dataset": cell.workload.dataset,
        "fingerprints": setting.fingerprints,
        "classes": setting.manifest.classes,
        "chance": setting.manifest.majority("test"),
        "tolerance": cell.workload.tolerance,
        "learning_rate": cell.learning_rate,
        "sparsity": cell.sparsity,
        "seed": cell.seed,
        "method": method.label,
        "version": __version__,
        "parameters": method.defaults,
        "source": method.source,
        "track": method.track,
        "control_of": method.control_of,
        "charged": ledger.charged,
        "apart": ledger.off_budget,
        "budget": ledger.limit,
        "epoch": ledger.n_train,
        "pipeline": str(context.pipeline),
    }


def as_record(outcome: dict[str, Any], epochs_computed: float, **measured: Any) -> Record:
    """Return the record of an outcome, with what was measured while it was computed."""
    result = {name: value for name, value in outcome.items() if name != "curve"}
    charged = sum(outcome["charged"].values()) / outcome["epoch"]
    provenance = Provenance(
        epochs_computed=epochs_computed,
        epochs_reused=max(0.0, charged - epochs_computed),
        host=platform.node(),
        curve=LearningCurve.model_validate(outcome["curve"], strict=False) if outcome.get("curve") else None,
        **measured,
    )
    return Record(result=Result.model_validate(result, strict=False), provenance=provenance)


def trace_name(setting: Setting, method: Method) -> str:
    """Return the name of a run's trace, and of the lock on it. It is equal for the same source on the same cell."""
    suite, cell = setting.suite, setting.cell
    grid = [cell.workload.name, float(cell.learning_rate), float(cell.sparsity), cell.seed]
    data: list[Any] = [setting.manifest.fingerprints, setting.split.fingerprint]
    data += [given] if (given := setting.given) else []
    names = [suite.name, suite.version, suite.hash]
    return keys.key("trace", 2, __version__, names, grid, data, method.label, method.source, method.defaults)
