"""A suite smaller than `smoke`, methods for it, and how to drive both from a test."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lthbench import Gradients, Gradual, Network, Run, Tensors, alive, magnitude, random_scores, source
from lthbench.data import DataHome
from lthbench.methods import registry
from lthbench.methods.internals.setting import Setting, settings
from lthbench.methods.registry import Method
from lthbench.methods.run import Run as RealRun
from lthbench.runs.driver.broker import Broker
from lthbench.runs.driver.driver import Driver
from lthbench.runs.driver.run_lock import RunLock
from lthbench.runs.driver.session import Session
from lthbench.runs.plan.plan import Plan, PlannedRun, plan
from lthbench.runs.records.record import Record
from lthbench.runs.store.store import Store
from lthbench.runs.workers.executors import SerialExecutor
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.suite import Suite
from lthbench.suite.workload import Workload
from lthbench.training import numerics
from lthbench.training.recipe import Recipe

CPU = torch.device("cpu")
EPOCHS = 2
STEPS = 10  # in an epoch: nine batches of 128 examples and one of 15

TINY = Suite(
    name="tiny",
    version="0.1",
    methods=("any",),
    workload=(Workload(model="mlp-16", dataset="digits"),),
    learning_rates=(0.1,),
    sparsities=(0.5, 0.9),
    seeds=2,
    budget="2T",
    duels=(),
    tickets=(),
    validation=130,
    recipe=Recipe(epochs=EPOCHS, batch=128, lr=0.1, drops=(0.5,), weight_decay=1e-4),
)
ONE = TINY.model_copy(update={"sparsities": (0.5,), "seeds": 1})  # a single cell


def tiny(**changes: Any) -> Suite:
    """TINY with other fields; a new object, so that nothing that it has cached is kept."""
    return Suite(**{name: getattr(TINY, name) for name in Suite.model_fields} | changes)


def method(function: Callable[..., Network], track: str = "one-shot", **parameters: Any) -> Method:
    """A method object of a function, named after it. Its source is the file that the function stands in."""
    return Method(
        name=function.__name__,
        function=function,
        cost="2T",
        track=track,  # type: ignore[arg-type]
        cite="",
        control_of=None,
        at_zero=None,
        source=source.digest(Path(inspect.getfile(function))),
        parameters=parameters,
    )


def method_file(folder: Path, body: str, name: str = "own.py") -> Path:
    """A file of methods. Its content is its folder's own, so that no other test has loaded it before."""
    path = folder / name
    path.write_text(f"# {folder}\nfrom lthbench import *\nimport os, torch\nfrom dataclasses import dataclass\n{body}")
    return path


def found(folder: Path, body: str, name: str = "own") -> Method:
    """The method of this name in a file with this body."""
    return registry.find(f"{method_file(folder, body)}:{name}")


def ticket(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(magnitude(run.train(init)))))


def finetune(run: Run) -> Network:
    dense = run.train(run.init())
    return run.train(dense.masked(run.select(magnitude(dense))).at(0))


def dense(run: Run) -> Network:
    return run.train(run.init())


def chance(run: Run) -> Network:
    init = run.init()
    return run.train(init.masked(run.select(random_scores(init, run.generator("mask")))))


def rewind(run: Run) -> Network:
    """Two rounds, each rewound to the first epoch: 2T in all."""
    early = run.train(run.init(), until=1)
    net = early
    for sparsity in (run.sparsity / 2, run.sparsity):
        net = early.masked(run.select(magnitude(run.train(net)), sparsity))
    return run.train(net)


def snip(run: Run) -> Network:
    init = run.init()
    grads = run.measure(init, Gradients(), per_class=10)
    scores = {name: (w * grads[name]).abs() for name, w in init.prunable.items()}
    return run.train(init.masked(run.select(alive(init, scores))))


def gradual(run: Run) -> Network:
    return run.train(run.init(), rule=Gradual(run.sparsity, every=2))


METHODS = [method(dense, track="dense"), *map(method, (ticket, finetune, chance, rewind, snip, gradual))]


@dataclass
class Outcome:
    """What a driven suite left."""

    records: list[Record]
    broker: Broker
    plan: Plan
    out: Path

    @property
    def results(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The `result` of every record, by run."""
        return {record.run_id: record.result.model_dump() for record in self.records}

    def of(self, name: str) -> list[Any]:
        """The results of one method."""
        return [record.result for record in self.records if record.result.method == name]


def planned(suite: Suite, methods: Sequence[Method], home: DataHome) -> Plan:
    return plan(suite, methods, settings(suite, home))


def driver(suite: Suite, methods: Sequence[Method], out: Path, home: DataHome, **options: Any) -> Driver:
    """A driver whose worker processes start at once, from this warm process."""
    thought = options.pop("plan", None) or planned(suite, methods, home)
    options = {"executor": "serial", "start": "fork"} | options
    return Driver(suite, settings(suite, home), thought, out, home, CPU, **options)


def drive(suite: Suite, methods: Sequence[Method], out: Path, home: DataHome, **options: Any) -> Outcome:
    """Run a suite to its end."""
    d = driver(suite, methods, out, home, **options)
    broker = d.run()
    return Outcome(d.records, broker, d.plan, out)


def store_in(out: Path) -> Store:
    return Store(out / "store", numerics.environment_key(CPU))


@contextmanager
def open_run(out: Path, home: DataHome, suite: Suite = ONE, seed: int = 0) -> Iterator[RealRun]:
    """The Run of a suite's first cell with real trainings behind it, to be used line by line."""
    [manifest] = settings(suite, home).values()
    cell = suite.cells()[seed]
    place = WorkerConfig(out / "store", home.folder, "cpu")
    numerics.set_up(CPU)
    executor = SerialExecutor(place, "fork")
    broker, run_lock = Broker(Store(place.store, numerics.environment_key(CPU)), executor), RunLock()
    name = PlannedRun(method(dense), cell)
    session = Session(name, Setting(suite, cell, manifest), broker, run_lock, {}, lambda: False, {})
    run_lock.take()
    try:
        yield session.run
    finally:
        run_lock.give()
        executor.close()


def same(a: Tensors, b: Tensors) -> bool:
    """Whether all tensors are equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(t, b[name]) for name, t in a.items())


def equal(a: Network, b: Network) -> bool:
    return same(a.params, b.params) and a.mask == b.mask
