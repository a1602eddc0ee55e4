"""Records as they are published: what was measured, and nothing that no level looked at."""

from lthbench.runs.records.record import Record
from lthbench.runs.workers.evaluation import Evaluation
from lthbench.submission.verification.claimed import given_parameters

UNSEEN: dict[str, object] = {
    "kept": {},
    "correlation": {},
    "barriers": {},
    "notes": {},
    "loss": {},
    "compact": None,
    "zero_weights": None,
    "early_stop": None,
}
UNSEEN_PROVENANCE: dict[str, object] = {
    "host": "",
    "started": "",
    "seconds": 0.0,
    "cpu": None,
    "seen": None,
    "curve": None,
}


def measured(record: Record, found: Evaluation) -> Record:
    """Put what an evaluation found in place of what a record says."""
    counts = dict.fromkeys(("test", "train", "validation")) | found.counts
    seen = {
        "status": "ok" if found.finite else "diverged",
        "correct": found.correct,
        "loss": found.finite_loss,
        "layers": found.layers,
        "multiplications": found.multiplications,
        "compact": found.compact,
        "mask_digest": found.mask_digest,
        "weights": found.weights,
        "zero_weights": found.zero_weights,
    }
    return seen_alone(record, counts | seen)


def seen_alone(record: Record, seen: dict[str, object] | None = None) -> Record:
    """Drop what no level looks at, but for what was `seen`; reasons are lthbench's own words."""
    r, said = record.result, record.provenance
    written = {name: r.parameters[name] for name in given_parameters(r.method) if name in r.parameters}
    status = (seen or {}).get("status", r.status)
    reason = None if status == "ok" else "weights are not finite"
    changes = UNSEEN | {"parameters": written} | (seen or {}) | {"reason": reason}
    charged = sum(r.charged.values()) / r.epoch
    computed = min(said.epochs_computed, charged)
    epochs = {"epochs_computed": computed, "epochs_reused": charged - computed}
    provenance = said.model_copy(update=UNSEEN_PROVENANCE | epochs)
    return record.model_copy(update={"result": r.model_copy(update=changes), "provenance": provenance})
