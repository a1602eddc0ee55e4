"""The operations on test examples: Evaluate and Barrier."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lthbench import bits
from lthbench.methods.compact import compact_cost
from lthbench.methods.internals.operations import Barrier, Evaluate
from lthbench.models.cost import multiplications
from lthbench.pruning.correlation import correlations
from lthbench.pruning.lineage import Lineage
from lthbench.pruning.mask import Mask
from lthbench.pruning.pattern import Pattern
from lthbench.pruning.state import State
from lthbench.pruning.tensors import Tensors, digest
from lthbench.runs.workers.barrier import along, barrier
from lthbench.runs.workers.evaluation import Evaluation
from lthbench.runs.workers.worker.measuring import BATCH, logits, ready, right
from lthbench.runs.workers.worker.reply import Reply
from lthbench.runs.workers.worker.workplace import Workplace
from lthbench.training.numerics import precision


def evaluate(place: Workplace, operation: Evaluate) -> Reply:
    """Evaluate a network on all parts of the data. Writes what its record needs."""
    state, module = place.store.network(operation.source), ready(place, operation.source)
    counts: dict[str, tuple[int, int]] = {}
    loss: dict[str, float] = {}
    for part in ["test", "train"] + ["validation"] * bool(operation.split.validation):
        feed = place.feed(operation.split, part)
        found = logits(module, feed, operation.precision)
        answers = found.argmax(1)
        correct = answers == feed.labels
        counts[part] = int(correct.sum()), len(feed)
        loss[part] = float(F.cross_entropy(found.double(), feed.labels))
        if part == "test":
            predictions, of_test = answers.to(torch.int16).cpu(), bits.text(correct.cpu())
    there, model = state.weight_mask, operation.source.model
    counted = {name: keep | _regrown(state.params[name]) for name, keep in state.mask.items()}
    evaluation = Evaluation(
        right=counts,
        correct=of_test,
        loss=loss,
        finite=state.finite,
        weights=digest(state.weights | state.buffers),
        layers=Mask(counted).layers,
        mask_digest=Mask(state.mask).digest,
        multiplications=multiplications(model, there),
        correlation={name: _correlation(place, state, other) for name, other in operation.others},
        compact=compact_cost(model, module),
        off_pattern=_off_pattern(operation.pattern, counted),
        zero_weights=None if state.basis is None else sum(int((~kept).sum()) for kept in there.values()),
    )
    place.store.write("values", operation.key, {"predictions": predictions}, evaluation.note)
    return Reply(0.0)


def measure_barrier(place: Workplace, operation: Barrier) -> Reply:
    """Measure the error along the line between two networks. Writes the barrier of each part of the data."""
    a, b = place.store.network(operation.source), place.store.network(operation.other)
    feeds = {part: place.feed(operation.split, part) for part in ("train", "test")}

    def error(module: nn.Module) -> dict[str, float]:
        counts = {part: right(module, feed, operation.precision) for part, feed in feeds.items()}
        return {part: 100 * (1 - counts[part] / len(feed)) for part, feed in feeds.items()}

    with precision(operation.precision, place.device):
        errors = along(operation.source.model, a, b, lambda: feeds["train"].in_order(BATCH), error, place.device)
    place.store.write("values", operation.key, {}, {part: barrier(line) for part, line in errors.items()})
    return Reply(0.0)


def _correlation(place: Workplace, state: State, lineage: Lineage) -> dict[str, float]:
    """Return R_p by p with another network, over the weights that both keep.

    The result is empty where weights are not finite or none is left.
    """
    other = place.store.network(lineage)
    there = other.weight_mask
    both = {name: kept & there[name] for name, kept in state.weight_mask.items()}
    finite = state.finite and other.finite and any(bool(kept.any()) for kept in both.values())
    return correlations(state.weights, other.weights, both) if finite else {}


def _off_pattern(name: str, mask: Tensors) -> int:
    """Count the groups of a mask that do not follow a pattern, which may be none."""
    pattern = Pattern.named(name)
    return pattern.broken(mask) if pattern else 0


def _regrown(weights: Tensor) -> Tensor:
    """Mark the weights that a mask removes but that are not zero. A diverged network may be NaN anywhere."""
    return weights.ne(0) & weights.isfinite()
