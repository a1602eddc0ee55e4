"""The configuration that a worker needs to start, in any process."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lthbench.data import DataHome
from lthbench.errors import InputError
from lthbench.models import own
from lthbench.runs.store.store import Store
from lthbench.runs.workers.worker import Worker
from lthbench.runs.workers.worker.capacity import Capacity
from lthbench.training import numerics
from lthbench.training.gpu.settings import GPU_SETTINGS, STREAMS


@dataclass(frozen=True)
class WorkerConfig:
    """The store's folder, the data's folder, the device, and the number of trainings that a worker does at once.

    `lanes` None: one on a CPU, as many as fit on a GPU. `share`: the share of a GPU that the worker may use. `models`: a
    folder with the files of models that the suite names.
    """

    store: Path
    data: Path
    device: str
    lanes: int | None = None
    gpus: int = 1  # GPUs of one worker, for recipes with shards
    peers: tuple[str, ...] = ()
    share: float = 1.0
    models: Path | None = None

    def __post_init__(self) -> None:
        if torch.device(self.device).type == "cuda" and (self.lanes or 0) > STREAMS:
            raise InputError(
                f"{self.lanes} lanes were asked for; a GPU has streams for {STREAMS}: write {STREAMS} or less"
            )

    @property
    def slots(self) -> int:
        """Return the most operations that one worker takes at once."""
        return self.lanes or (GPU_SETTINGS.most if torch.device(self.device).type == "cuda" else 1)

    def each(self) -> "list[WorkerConfig]":
        """Return a configuration for each worker that has devices: "cuda" means all GPUs of the kind of the first one."""
        devices = [str(device) for device in numerics.alike(torch.device(self.device))]
        if len(devices) < self.gpus:
            raise InputError(f"{self.gpus} GPUs for each worker were asked for; there are {len(devices)} of one kind")
        groups = [devices[at : at + self.gpus] for at in range(0, len(devices) - self.gpus + 1, self.gpus)]
        return [replace(self, device=first, peers=tuple(peers)) for first, *peers in groups]

    def worker(self, splits: frozenset[str]) -> Worker:
        """Return a worker in this process, after setting up its numerics."""
        device = torch.device(self.device)
        numerics.set_up(device)
        if self.models:
            own.register_kept(self.models)
        store = Store(self.store, numerics.environment_key(device))
        memory = Capacity.on(device, self.share) if device.type == "cuda" else Capacity(self.slots)
        capacity = memory if self.lanes is None else Capacity(self.slots)
        worker = Worker(store, DataHome(self.data, splits), device, tuple(map(torch.device, self.peers)), capacity)
        worker.memory = memory.capacity if memory.measured else math.inf
        return worker
