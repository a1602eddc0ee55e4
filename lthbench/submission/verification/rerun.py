"""Runs of a suite done again inside the jail: one process, the training split, and a test split that is blank."""

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from lthbench.data import DataHome
from lthbench.methods import registry
from lthbench.methods.internals.operations import Operation
from lthbench.methods.internals.setting import Setting, settings
from lthbench.runs.driver import final_network
from lthbench.runs.driver.broker import Broker
from lthbench.runs.driver.run_lock import RunLock
from lthbench.runs.driver.session import Session
from lthbench.runs.plan.plan import PlannedRun, plan
from lthbench.runs.store.store import Store
from lthbench.runs.workers.executors import pickled, unpickled
from lthbench.runs.workers.worker import Reply, Worker
from lthbench.suite import Suite, in_folder
from lthbench.training import numerics

BOTH = frozenset({"train", "test"})


@dataclass
class Alone:
    """An executor that does everything in this process, evaluation too."""

    worker: Worker

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        future: Future[Reply] = Future()
        try:
            future.set_result(self.worker.perform(unpickled(pickled(operation))))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class Again:
    """A job whose data are loaded, before any of the method's code is."""

    folder: Path
    method: str
    cells: list[list[Any]]
    suite: Suite
    settings: Mapping[str, Any]
    worker: Worker

    @classmethod
    def ready(cls, job: Mapping[str, Any]) -> "Again":
        folder, device = Path(job["folder"]), torch.device("cpu")
        numerics.set_up(device)
        home = DataHome(folder / "data", BOTH)
        suite = in_folder(folder)
        manifests = settings(suite.model_copy(update={"workload": _used(suite, job["cells"])}), home)
        worker = Worker(Store(folder / "store", numerics.environment_key(device)), home, device)
        for workload in _used(suite, job["cells"]):
            cell = next(c for c in suite.cells() if c.workload == workload)
            split = Setting(suite, cell, manifests[workload.dataset]).split
            for part in ("test", "train", *["validation"] * bool(suite.validation)):
                worker.feed(split, part)
        return cls(folder, job["method"], job["cells"], suite, manifests, worker)

    def run(self) -> None:
        """Load the method, run its cells, leave a record and a final of each."""
        method = registry.find(f"{self.folder / 'method.py'}:{self.method}")
        wanted = {tuple(cell) for cell in self.cells}
        used = self.suite.model_copy(update={"workload": _used(self.suite, self.cells)})
        broker, run_lock = Broker(self.worker.store, Alone(self.worker)), RunLock()  # type: ignore[arg-type]
        build = numerics.environment(self.worker.device)
        for planned in plan(used, [method], self.settings).runs:
            c = planned.cell
            if (c.workload.name, c.learning_rate, c.sparsity, c.seed) not in wanted:
                continue
            setting = Setting(self.suite, c, self.settings[c.workload.dataset])
            session = Session(planned, setting, broker, run_lock, {}, lambda: False, build)
            self._leave(session, broker, planned)

    def _leave(self, session: Session, broker: Broker, planned: PlannedRun) -> None:
        outcome = session.outcome()
        c, folder = planned.cell, self.folder / "left"
        left: dict[str, Any] = {"cell": [c.workload.name, c.learning_rate, c.sparsity, c.seed]}
        left["record"] = session.record(outcome).line()
        if session.final is not None and outcome["status"] == "ok":
            kept = final_network.capture(broker, session.final, session.context.edit_tensors)
            left |= {"file": f"{len(list(folder.iterdir()))}.safetensors", **kept.note}
            save_file({n: t.contiguous() for n, t in kept.tensors.items()}, folder / left["file"])
        with (folder / "left.jsonl").open("a") as file:
            file.write(json.dumps(left) + "\n")


def _used(suite: Suite, cells: list[list[Any]]) -> tuple[Any, ...]:
    """The workloads of some cells."""
    return tuple(w for w in suite.workload if w.name in {cell[0] for cell in cells})
