"""The driver runs the methods of a suite on its cells and writes records.

Each live run has a thread, and one thread is active at a time. The serial executor uses no threads. A killed suite resumes
by running its methods again from the start. Finished operations are found in the store.
"""

import logging
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from lthbench import system
from lthbench.data import DataHome, Manifest
from lthbench.errors import InputError
from lthbench.methods.internals.setting import Setting
from lthbench.methods.network import origin_of
from lthbench.runs.driver import final_network
from lthbench.runs.driver.broker import Broker, Counts
from lthbench.runs.driver.outcome import trace_name
from lthbench.runs.driver.run_lock import RunLock
from lthbench.runs.driver.run_log import RunLog
from lthbench.runs.driver.session import Session, Stopped
from lthbench.runs.plan.plan import Plan, PlannedRun
from lthbench.runs.records.record import Record
from lthbench.runs.records.run_id import RunId
from lthbench.runs.records.writer import RecordWriter
from lthbench.runs.store.files import sizes_below
from lthbench.runs.store.policy import Keep
from lthbench.runs.store.store import Store
from lthbench.runs.workers.executors import Executor, LocalExecutor, SerialExecutor
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.suite import MODELS, Suite
from lthbench.training import numerics

log = logging.getLogger(__name__)

LIVE = 4  # live runs for each operation that workers do at once
THREADS = 10_000  # live runs at most
PAUSE = 0.2  # seconds between two looks at runs that other drivers have claimed


@dataclass
class Driver:
    """A driver of a suite in the folder `out`, which holds `records/`, `logs/` and `store/`.

    `partial`: the plan is a part of the runs of its methods. The records of their other runs stay as they are.
    """

    suite: Suite
    manifests: Mapping[str, Manifest]
    plan: Plan
    out: Path
    home: DataHome
    device: torch.device
    executor: str = "local"
    workers: int = 1
    address: str = "auto"  # of the Ray cluster
    gpus: int = 1  # of one worker
    gpu_share: float = 1.0  # of a GPU of the cluster, for one worker
    lanes: int | None = None  # trainings at once in a worker; None: one on a CPU, as many as fit on a GPU
    keep: Keep = "masks"
    partial: bool = False
    start: str = ""  # how worker processes are started; by default the best way for the device
    records: list[Record] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    stopping: bool = False

    def __post_init__(self) -> None:
        folders, device = (self.out / "store", self.home.folder), str(self.device)
        self.config = WorkerConfig(*folders, device, self.lanes, self.gpus, models=self.out / MODELS)
        self._live = LIVE * self.workers * (1 if self.executor == "serial" else self.config.slots)
        self.environment = numerics.environment(self.device)
        self.run_lock = RunLock()
        self._writer = RecordWriter(self.out)
        self._users = self.plan.users
        self._stops = self.plan.stops
        self._real: dict[str, str] = {}  # real state keys by planned ones
        self._under_way: dict[RunId, Session] = {}
        self._ending = threading.Lock()

    def run(self, on_record: Callable[[Record], None] = lambda record: None) -> Broker:
        """Do every planned run that has no record yet. Returns the broker, which counts the computed operations.

        A KeyboardInterrupt ends the workers and is raised again. Finished work is kept.
        """
        done = self._finished()
        todo = []
        for run in self.plan.runs:
            if run.run_id in done:
                self._release(run)
            else:
                todo.append(run)
        self._check_room()
        self.config.keep_models(workload.model_name for workload in self.suite.workload)
        try:
            with numerics.one_thread(self.device), self._broker() as broker:
                for record in self._sessions(broker, todo):
                    self.records.append(record)
                    on_record(record)
        except Stopped as stop:
            raise stop.__cause__ or stop from None
        self._writer.write([*self.records, *self._others()])
        if self.keep != "all":
            for kind in ("states", "curves"):  # records hold the curves
                shutil.rmtree(broker.store.root / kind, ignore_errors=True)
        return broker

    def _sessions(self, broker: Broker, todo: list[PlannedRun]) -> Iterator[Record]:
        """Yield the records of all runs, as they end."""
        waiting = deque(todo)
        if self.executor == "serial":
            yield from (self._next(broker, waiting) for _ in todo)
            return
        pool, asked, left = ThreadPoolExecutor(THREADS), iter(todo), set[Future[Record]]()
        try:
            while True:
                free = max(0, LIVE * broker.executor.slots - len(left))  # a cluster may have grown, or shrunk
                left |= {pool.submit(self._next, broker, waiting) for _ in islice(asked, free)}
                if not left:
                    return
                ended, left = wait(left, timeout=1.0, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ended)
        finally:
            self.stopping = True
            pool.shutdown(wait=False, cancel_futures=True)

    def _next(self, broker: Broker, waiting: deque[PlannedRun]) -> Record:
        """Do the first run that no other driver on this store has claimed.

        A claimed run goes to the end of the queue. Its trace shows what the other driver did meanwhile.
        """
        while not self.stopping:
            planned = waiting.popleft()
            setting = self._setting(planned)
            note = planned.run_id.text
            with broker.locks.held(trace_name(setting, planned.method), lambda: True, note) as mine:
                if mine:
                    return self._session(broker, planned, setting)
            waiting.append(planned)
            time.sleep(PAUSE)
        raise Stopped

    def _setting(self, run: PlannedRun) -> Setting:
        return Setting(self.suite, run.cell, self.manifests[run.cell.workload.dataset])

    def _session(self, broker: Broker, planned: PlannedRun, setting: Setting) -> Record:
        journal = RunLog(planned.run_id.log(self.out))
        session = Session(
            planned, setting, broker, self.run_lock, self._stops, lambda: self.stopping, self.environment, journal
        )
        self._under_way[planned.run_id] = session
        outcome = session.outcome()
        self._keep(broker, session, outcome)
        record = session.record(outcome)
        with self._ending:
            record = self._writer.add(record)
            asked = zip(planned.steps, session.real, strict=False)
            self._real |= {step.key: key for step, key in asked if step.trajectory}
            del self._under_way[planned.run_id]
            needed = self._asked_for()
            for key in self._release(planned):
                if key not in needed:
                    broker.store.drop("states", key)
        return record

    def _asked_for(self) -> set[str]:
        """Return the real keys that the runs under way have asked for. Equal masks give runs of different plans one key."""
        return {key for session in list(self._under_way.values()) for key in list(session.real)}

    def _release(self, run: PlannedRun) -> list[str]:
        """Return the keys of the states that no run needs after this one has ended."""
        self._users.subtract(run.states)
        unused = [key for key in run.states if not self._users[key] and key in self._real]
        return [] if self.keep == "all" else [self._real.pop(key) for key in unused]

    def _keep(self, broker: Broker, session: Session, outcome: Mapping[str, Any]) -> None:
        """Keep the parts of the returned network that `keep` names: the bit-packed mask, or also its values and start."""
        if self.keep == "all" or session.final is None or "weights" not in outcome:
            return
        state = broker.network(origin_of(session.final).lineage, session.context.edit_tensors)
        broker.store.write_tensors(state.mask)
        if self.keep == "finals":
            kept = final_network.capture(broker, session.final, session.context.edit_tensors)
            broker.store.write(final_network.KIND, outcome["weights"], kept.tensors, kept.note)

    @contextmanager
    def _broker(self) -> Iterator[Broker]:
        store = Store(self.config.store, numerics.environment_key(self.device))
        executor = self._executor()
        broker = Broker(store, executor, self.counts)
        try:
            yield broker
        finally:
            self.stopping = True
            broker.locks.close()
            executor.close()

    def _executor(self) -> Executor:
        if self.executor == "serial":
            return SerialExecutor(self.config, self.start)
        if self.executor == "local":
            return LocalExecutor(self.config, self.workers, self.start)
        from lthbench.runs.ray.executor import RayExecutor

        prints = {name: manifest.fingerprints for name, manifest in self.manifests.items()}
        return RayExecutor(self.config, prints, self.address, self.gpu_share)

    def _finished(self) -> dict[RunId, Record]:
        """Return, by run, the records in the folder that this plan would reproduce. Failed runs are repeated."""
        planned = {run.run_id: run for run in self.plan.runs}

        def stands(record: Record) -> bool:
            run = planned.get(record.run_id)
            return run is not None and record.result.status != "failed" and self._is_same(record, run)

        done = {record.run_id: record for record in self._writer.standing(stands)}
        self.records = list(done.values())
        return done

    def _is_same(self, record: Record, run: PlannedRun) -> bool:
        result, prints = record.result, self._setting(run).fingerprints
        return (
            result.suite_hash == self.suite.hash
            and (result.suite, result.suite_version) == (self.suite.name, self.suite.version)
            and result.source == run.method.source
            and result.parameters == run.method.defaults
            and prints == result.fingerprints
            and record.provenance.environment == self.environment
        )

    def _others(self) -> list[Record]:
        """Return the records of other runs that stay in the files of this plan's methods.

        Where the plan is whole, records of another text of the suite or of a method's code are put away, because they
        do not belong with the new results.
        """
        mine = {record.run_id for record in self.records}
        sources = {run.method.label: run.method.source for run in self.plan.runs}
        others = {r.run_id: r for r in self._writer.read() if r.run_id not in mine and r.result.method in sources}
        older = [r for r in others.values() if sources[r.result.method] != r.result.source]
        if self.partial:
            self._warn(older, "are of another version of its file; lthbench run repeats them")
            return list(others.values())
        older += [r for r in others.values() if r.result.suite_hash != self.suite.hash and r not in older]
        self._warn(older, f"are outside the plan and of another version; they are in {self.out / 'superseded'} now")
        self._writer.put_away(older)
        return [record for record in others.values() if record not in older]

    def _warn(self, records: list[Record], what: str) -> None:
        for method, count in Counter(record.result.method for record in records).items():
            log.warning("%d runs of %s %s", count, method, what)

    def _check_room(self) -> None:
        """Raise InputError where the disk has no room for what the store does not hold yet."""
        self.out.mkdir(parents=True, exist_ok=True)
        there = sum(sizes_below(self.out / "store"))
        need, free = self.plan.room(self._live, self.keep) - there, shutil.disk_usage(self.out).free
        if need > free:
            raise InputError(
                f"{self.out} has {free / 1e9:.3g} GB free, this suite needs up to {need / 1e9:.3g} GB more with --keep "
                f"{self.keep}; choose another --out"
            )


def default_workers(device: torch.device, gpus: int = 1) -> int:
    """Return the default number of workers: one a core on a CPU, else one for each `gpus` GPUs."""
    if device.type == "cuda":
        return max(1, len(numerics.alike(device)) // gpus)
    return system.cores()
