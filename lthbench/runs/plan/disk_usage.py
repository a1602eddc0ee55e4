"""Bytes of what lies in a store, from shapes alone: what a plan says of disk. Generous, so that there is room."""

from functools import lru_cache

import torch

from lthbench.methods.network import Network, origin_of
from lthbench.models import Model
from lthbench.pruning.allocate import removed_count
from lthbench.pruning.lineage import Init
from lthbench.pruning.tensors import Tensors
from lthbench.training.rules import overrides
from lthbench.training.trajectory import Trajectory

HEADER = 200  # of an entry, and of each tensor in it
TEXT = 4000  # of what is noted of a network


def state(trajectory: Trajectory, stop: int) -> int:
    """A state of a training: a rule is taken to keep two numbers for each prunable weight."""
    model, rule = trajectory.model, trajectory.rule
    momentum = weights(model) * (stop < trajectory.clock.total)
    kept = 8 * model.prunable_count * overrides(rule, "start")
    once = weights(model) + _buffer_bytes(model) + momentum + kept + model.prunable_count + 1000 * len(model.shapes)
    return once * (1 + overrides(rule, "finish"))


def weights(model: Model) -> int:
    """All parameters."""
    return 4 * sum(shape.numel() for shape in model.shapes.values())


def entry(tensors: Tensors) -> int:
    """Tensors that a method made; masks are packed to bits."""
    bits = sum((-(-t.numel() // 8) if t.dtype == torch.bool else t.numel() * t.itemsize) for t in tensors.values())
    return bits + HEADER * (1 + len(tensors))


def final(net: Network, sparsity: float) -> int:
    """What `--keep finals` keeps: values and mask, and the same of what it was trained from unless the seed gives that."""
    model = net.model
    origin = origin_of(net)
    start = origin.trajectory.start if origin.trajectory else origin.lineage
    seeded = isinstance(start.root, Init) and not any(edit.kind == "with_weights" for edit in start.edits)
    kept = weights(model) - 4 * removed_count(model.prunable_count, sparsity) + _buffer_bytes(model)
    return kept * (1 if seeded else 2) + model.prunable_count // 8 + HEADER * (1 + 4 * len(model.shapes))


@lru_cache(maxsize=256)
def buffers(model: Model) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Shapes and types of a model's buffers."""
    return {name: (b.shape, b.dtype) for name, b in model.module().named_buffers()}


def _buffer_bytes(model: Model) -> int:
    return sum(shape.numel() * dtype.itemsize for shape, dtype in buffers(model).values())
