"""Estimates of the bytes of store entries, from shapes alone. A plan shows them. They are upper estimates."""

from functools import lru_cache

import torch

from lthbench.methods.network import Network, origin_of
from lthbench.models import Model
from lthbench.pruning.allocate import removed_count
from lthbench.pruning.lineage import Init
from lthbench.pruning.tensors import Tensors
from lthbench.training.optimizer import optimizer
from lthbench.training.rules import overrides
from lthbench.training.trajectory import Trajectory

HEADER = 200  # of an entry, and of each tensor in it
TEXT = 4000  # of the note on a network


def state(trajectory: Trajectory, stop: int) -> int:
    """Return the bytes of a state of a training.

    A rule that keeps tensors is assumed to train a number for each prunable weight. A watched training also leaves the state
    of least validation loss.
    """
    model, rule = trajectory.model, trajectory.rule
    slots = len(optimizer(trajectory.recipe).slots)
    kept = 4 * model.prunable_count * overrides(rule, "start")
    trained = weights(model) * (1 + slots * (stop < trajectory.clock.total)) + kept * (1 + slots)
    once = trained + _buffer_bytes(model) + model.prunable_count + 1000 * len(model.shapes)
    return once * (1 + overrides(rule, "finish")) * (2 if trajectory.recipe.watch else 1)


def weights(model: Model) -> int:
    """Return the bytes of all parameters of a model."""
    return 4 * sum(shape.numel() for shape in model.shapes.values())


def entry(tensors: Tensors) -> int:
    """Return the bytes of tensors that a method made. Masks are packed to bits."""
    bits = sum((-(-t.numel() // 8) if t.dtype == torch.bool else t.numel() * t.itemsize) for t in tensors.values())
    return bits + HEADER * (1 + len(tensors))


def final(net: Network, sparsity: float) -> int:
    """Return the bytes that `--keep finals` keeps of a network.

    These are its values and mask, and the same of its start weights unless the seed gives those.
    """
    model = net.model
    origin = origin_of(net)
    start = origin.trajectory.start if origin.trajectory else origin.lineage
    seeded = isinstance(start.root, Init) and not any(edit.kind == "with_weights" for edit in start.edits)
    kept = weights(model) - 4 * removed_count(model.prunable_count, sparsity) + _buffer_bytes(model)
    return kept * (1 if seeded else 2) + model.prunable_count // 8 + HEADER * (1 + 4 * len(model.shapes))


@lru_cache(maxsize=256)
def buffers(model: Model) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Return the shapes and types of a model's buffers."""
    return {name: (b.shape, b.dtype) for name, b in model.module().named_buffers()}


def _buffer_bytes(model: Model) -> int:
    return sum(shape.numel() * dtype.itemsize for shape, dtype in buffers(model).values())
