"""The repetition of runs inside the jail: one process, the training split, and a blank test split."""

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from lthbench.data import DataHome, Manifest
from lthbench.methods import registry
from lthbench.methods.internals.operations import Operation
from lthbench.methods.internals.setting import Setting, settings
from lthbench.runs.driver import final_network
from lthbench.runs.driver.broker import Broker
from lthbench.runs.driver.run_lock import RunLock
from lthbench.runs.driver.session import Session
from lthbench.runs.plan.planned_run import PlannedRun
from lthbench.runs.plan.planner import planned
from lthbench.runs.store.store import Store
from lthbench.runs.workers.serialization import pickled, unpickled
from lthbench.runs.workers.worker import Reply, Worker
from lthbench.suite import Cell, Suite, in_folder
from lthbench.suite.workload import Workload
from lthbench.training import numerics

BOTH = frozenset({"train", "test"})


@dataclass
class Alone:
    """An executor that does everything in this process, also evaluations."""

    worker: Worker

    def submit(self, operation: Operation, remainder: float = 0.0) -> "Future[Reply]":
        future: Future[Reply] = Future()
        try:
            future.set_result(self.worker.perform(unpickled(pickled(operation))))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class Rerun:
    """A job whose data are loaded before any of the method's code."""

    folder: Path
    given: Path
    method: str
    cells: list[Cell]
    suite: Suite
    manifests: Mapping[str, Manifest]
    worker: Worker

    @classmethod
    def ready(cls, job: Mapping[str, Any]) -> "Rerun":
        folder, given, device = Path(job["folder"]), Path(job["given"]), torch.device("cpu")
        numerics.set_up(device)
        home = DataHome(given / "data", BOTH)
        suite = in_folder(given)
        cells = [Cell(_workload(suite, name), *rest) for name, *rest in job["cells"]]
        used = tuple({cell.workload.name: cell.workload for cell in cells}.values())
        manifests = settings(suite.model_copy(update={"workload": used}), home)
        worker = Worker(Store(folder / "store", numerics.environment_key(device)), home, device)
        for cell in cells:
            split = Setting(suite, cell, manifests[cell.workload.dataset]).split
            for part in ("test", "train", *["validation"] * bool(suite.validation)):
                worker.feed(split, part)
        return cls(folder, given, job["method"], cells, suite, manifests, worker)

    def run(self) -> None:
        """Load the method, run its cells, and write a record and a final network of each."""
        method = registry.find(f"{self.given / 'method.py'}:{self.method}")
        broker, run_lock = Broker(self.worker.store, Alone(self.worker)), RunLock()  # type: ignore[arg-type]
        environment = numerics.environment(self.worker.device)
        for cell in self.cells:
            setting = Setting(self.suite, cell, self.manifests[cell.workload.dataset])
            one = planned(method, setting)
            session = Session(one, setting, broker, run_lock, {}, lambda: False, environment)
            self._leave(session, broker, one)

    def _leave(self, session: Session, broker: Broker, run: PlannedRun) -> None:
        outcome = session.outcome()
        c, folder = run.cell, self.folder / "left"
        left: dict[str, Any] = {"cell": [c.workload.name, c.learning_rate, c.sparsity, c.seed]}
        left["record"] = session.record(outcome).line()
        if session.final is not None and outcome["status"] != "failed":
            kept = final_network.capture(broker, session.final, session.context.edit_tensors)
            left |= {"file": f"{len(list(folder.iterdir()))}.safetensors", **kept.note}
            save_file({n: t.contiguous() for n, t in kept.tensors.items()}, folder / left["file"])
        with (folder / "left.jsonl").open("a") as file:
            file.write(json.dumps(left) + "\n")


def _workload(suite: Suite, name: str) -> Workload:
    return next(workload for workload in suite.workload if workload.name == name)
