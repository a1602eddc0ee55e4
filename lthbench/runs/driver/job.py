"""A job: a suite with the methods to run on it, its data ready and its plan made."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lthbench.data import DataHome, Manifest, default_folder
from lthbench.errors import InputError
from lthbench.methods import registry
from lthbench.methods.internals.setting import settings
from lthbench.methods.registry import Method
from lthbench.runs.driver.driver import Driver
from lthbench.runs.plan.plan import Plan, outline, plan
from lthbench.runs.plan.totals import PlanTotals
from lthbench.runs.status.announcement import announce, sums
from lthbench.runs.status.observer import Observer
from lthbench.runs.store.files import write_whole
from lthbench.suite import Suite, in_folder
from lthbench.training import numerics

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Everything that planning and running need."""

    suite: Suite
    methods: tuple[Method, ...]
    manifests: Mapping[str, Manifest]
    home: DataHome
    device: torch.device

    @classmethod
    def make(
        cls,
        suite: Suite,
        methods: Sequence[str | Method | Callable[..., Any]] = (),
        data: Path | None = None,
        only: bool = False,
        device: str = "",
        planning: bool = False,
    ) -> "Job":
        """The suite's own methods and those named beside them, or `only` those. InputError for anything unknown.

        A job for `planning` cannot be run: published data sets need not be there.
        """
        registry.load_all()
        if only and not methods:
            raise InputError("--only needs a --method to run")
        found = {m.label: m for m in map(registry.find, [*(() if only else suite.methods), *methods])}
        if data is not None and not data.is_dir():
            raise InputError(f"there is no data folder {data}; make it, or leave --data out to use {default_folder()}")
        home = DataHome(data or default_folder())
        where = numerics.chosen_device(device)
        return cls(suite, tuple(found.values()), settings(suite, home, planning), home, where)

    @cached_property
    def plan(self) -> Plan:
        self.suite.check_size(len(self.methods))
        with numerics.one_thread(torch.device("cpu")):
            return plan(self.suite, self.methods, self.manifests)

    @cached_property
    def outline(self) -> PlanTotals:
        """What the plan adds up to, without the plan."""
        with numerics.one_thread(torch.device("cpu")):
            return outline(self.suite, self.methods, self.manifests)

    def failed(self, out: Path) -> Plan:
        """Of the plan, the runs whose record in a run folder says failed. InputError where the folder is none of this
        suite as it is."""
        observer = Observer(out)
        if observer.suite.hash != self.suite.hash:
            raise InputError(f"{out} holds runs of another text of the suite; lthbench run does all of them again")
        observer.look()
        there = observer.failed
        if others := sorted({run.method for run in there} - {method.label for method in self.methods}):
            log.warning("failed runs of %s are left: their method was not named", ", ".join(others))
        mine = replace(self, methods=tuple(m for m in self.methods if m.label in {run.method for run in there})).plan
        return Plan(run for run in mine.runs if run.run_id in there)

    def driver(self, out: Path, part: Plan | None = None, command: tuple[str, ...] = (), **options: Any) -> Driver:
        """A driver of this job, or of a part of its plan, in the folder `out`, which gets a copy of the suite, and the
        `command` that was typed.

        Records of an older text of the suite are moved aside; those of another suite are an InputError.
        """
        todo = part or self.plan
        _make_way(out, self.suite)
        write_whole(out / "suite.json", self.suite.as_json().encode())
        announce(out, self.suite.hash, {} if part else sums(self.plan), command)
        return Driver(self.suite, self.manifests, todo, out, self.home, self.device, partial=bool(part), **options)


def _make_way(out: Path, suite: Suite) -> None:
    """Nothing that lies in a run folder is written over by another suite."""
    if not (out / "suite.json").is_file():
        return
    older = in_folder(out)
    if older.name != suite.name:
        raise InputError(f"{out} holds the runs of suite {older.name!r}, not {suite.name!r}; choose another --out")
    for name in ("records", "tensorboard"):
        if older.hash != suite.hash and (out / name).is_dir():
            aside = out / f"{name}.{older.version}.{older.hash[:8]}"
            (out / name).rename(aside)
            log.warning("the suite has changed since; %s is %s now", out / name, aside)
