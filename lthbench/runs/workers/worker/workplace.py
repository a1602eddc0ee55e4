"""The workplace of a worker: all that its operations use, and the turns in which they compute."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from lthbench.data import DataHome, EncodedExamples, Examples, holdout
from lthbench.errors import MethodError
from lthbench.methods.internals.operations import Split
from lthbench.pruning.lineage import Lineage, NamedLineages
from lthbench.pruning.state import module_of
from lthbench.runs.store.store import Store
from lthbench.runs.workers.process_state import FairLock, unchanged
from lthbench.runs.workers.worker.capacity import Capacity
from lthbench.training.feed import Feed, feed
from lthbench.training.numerics import memory_format


@dataclass
class Workplace:
    """A store, the data that the process may read, a device, and a capacity for trainings at once.

    `spoilt` says why the process must do no further operation; "" while it may. `memory` are the bytes of the device
    above which the process gives back what it does not use.
    """

    store: Store
    home: DataHome
    device: torch.device
    peers: tuple[torch.device, ...] = ()  # other devices, for shards of a batch
    capacity: Capacity = field(default_factory=lambda: Capacity(1))
    turns: FairLock = field(default_factory=FairLock)
    spoilt: str = ""
    memory: float = math.inf
    _feeds: dict[Any, Feed] = field(default_factory=dict)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take a turn: run alone among the threads of the process. MethodError if the code inside changed its state.

        OutOfMemoryError if the device lacked memory, even if a library went on with an algorithm that needs less.
        """
        with self.turns, unchanged("an operation"):
            failed = self._failed_allocations()
            yield
            if self._failed_allocations() > failed:
                raise torch.OutOfMemoryError("a library would choose other algorithms than with enough memory")

    def _failed_allocations(self) -> int:
        return torch.cuda.memory_stats(self.device)["num_ooms"] if self.device.type == "cuda" else 0

    def trim(self) -> None:
        """Give memory back that ended trainings have left, if there is much of it: the device is idle meanwhile."""
        if self.device.type == "cuda" and torch.cuda.memory_reserved(self.device) > self.memory:
            with self.turns:
                torch.cuda.empty_cache()

    def fault(self) -> str:
        """Return why the device computes no more, or "". A CUDA context that has broken stays broken."""
        if self.device.type != "cuda":
            return ""
        try:
            with self.turns:
                torch.zeros(1, device=self.device).add(1).item()
        except torch.OutOfMemoryError:
            return ""
        except Exception as error:
            return f"{self.device} computes no more: {str(error).partition(chr(10))[0]}"
        return ""

    def feed(self, split: Split, part: str) -> Feed:
        """Return the examples of one part of the data: train, validation or test."""
        if (split, part) not in self._feeds:
            examples = self.home.load(split.dataset, "test" if part == "test" else "train")
            chosen = _part(examples, split, part)
            manifest = self.home.manifest(split.dataset)
            if split.normalisation:
                mean, std = split.normalisation
                manifest = replace(manifest, mean=mean, std=std)
            self._feeds[split, part] = feed(examples, chosen, manifest, self.device)
        return self._feeds[split, part]

    def module(self, source: Lineage) -> nn.Module:
        """Return a network on the device, in evaluation mode."""
        return module_of(source.model, self.store.network(source), self.device).eval()

    def networks(self, sources: NamedLineages) -> dict[str, nn.Module]:
        """Return the networks that an operation may look at: modules in evaluation mode, whose parameters do not train."""
        modules = {name: self.module(source).requires_grad_(False) for name, source in sources}
        return {name: module.to(memory_format=memory_format(module, self.device)) for name, module in modules.items()}


def check_charge(name: str, seen: int, charged: int) -> None:
    """Raise MethodError where networks saw more examples than were charged."""
    if seen > charged:
        raise MethodError(
            f"{name} fed {seen} examples to networks, {charged} were charged: every example that goes forward through a "
            "network is charged; raise passes, or train with run.train"
        )


def _part(examples: Examples | EncodedExamples, split: Split, part: str) -> Tensor:
    """Return the positions of the examples of a part of the data. Those within a limit are shared over the classes."""
    if part == "test":
        return torch.arange(len(examples))
    kept, held = holdout(examples.labels, split.validation)
    if part == "train" and split.limit is not None:
        return kept[holdout(examples.labels[kept], split.limit, "limit")[1]]
    return kept if part == "train" else held
