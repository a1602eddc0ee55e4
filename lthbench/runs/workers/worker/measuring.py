"""The operations on training examples that are not trainings: Measure and Validate."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lthbench.methods.internals.operations import Measure, Validate
from lthbench.pruning.lineage import Lineage
from lthbench.pruning.state import module_of
from lthbench.runs.workers.worker.reply import Reply
from lthbench.runs.workers.worker.workplace import Workplace, check_charge
from lthbench.training.feed import Feed
from lthbench.training.identity import by_author
from lthbench.training.metering.bounds import check_found, check_work
from lthbench.training.metering.meter import metered
from lthbench.training.numerics import for_evaluation, precision
from lthbench.training.probes import Batches

SHOWN = 64  # images that a probe's result is compared with
BATCH = 1024  # images of an evaluation; its last bits depend on this


def measure(place: Workplace, operation: Measure) -> Reply:
    """Have a probe look at a network on chosen examples. Writes what it found."""
    feed = place.feed(operation.split, "train")
    index = _chosen(feed, operation)
    state = place.store.network(operation.source)
    module = module_of(operation.source.model, state, place.device)

    def draw() -> Iterator[tuple[Tensor, Tensor]]:
        return (feed.batch(part) for part in index.split(operation.batch))

    model, name = operation.source.model, type(operation.probe).__name__
    batches = Batches(draw, model.shape, operation.passes, place.networks(operation.networks))
    with precision(operation.precision, place.device), metered(flops=by_author(operation.probe)) as meter:
        found = operation.probe(module, {n: m.to(place.device) for n, m in state.weight_mask.items()}, batches)
    check_charge(name, meter.seen, operation.passes * len(index))
    check_work(name, meter.flops, operation.passes * len(index), model)
    images, _ = feed.batch(index[:SHOWN])
    place.store.write("values", operation.key, check_found(name, found, model, images, len(index)))
    return Reply(operation.passes * len(index) / len(feed), seen=meter.seen)


def validate(place: Workplace, operation: Validate) -> Reply:
    """Count the held-out examples that a network classifies correctly. Writes the count."""
    feed = place.feed(operation.split, "validation")
    count = right(ready(place, operation.source), feed, operation.precision)
    place.store.write("values", operation.key, {}, {"right": count, "count": len(feed)})
    return Reply(0.0)


def ready(place: Workplace, source: Lineage) -> nn.Module:
    """Return a network on the worker's device, ready to be evaluated."""
    return for_evaluation(place.module(source), place.device)


def logits(module: nn.Module, feed: Feed, name: str) -> Tensor:
    """Return the network's outputs for every example in a precision, float32 [N, classes]."""
    with torch.no_grad(), precision(name, feed.device):
        return torch.cat([module(images).float() for images in feed.in_order(BATCH)])


def right(module: nn.Module, feed: Feed, name: str) -> int:
    """Count the examples that the network classifies correctly."""
    return int((logits(module, feed, name).argmax(1) == feed.labels).sum())


def _chosen(feed: Feed, operation: Measure) -> Tensor:
    if operation.per_class is not None:
        return feed.per_class(operation.per_class, operation.seed, operation.stream)
    return feed.subset(operation.examples, operation.seed, operation.stream)
