"""A job: a suite with the methods to run on it, its data and its plan."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from lthbench.runs.driver.folder import make_way
from lthbench.runs.plan.plan import Plan, outline, plan
from lthbench.runs.plan.totals import PlanTotals
from lthbench.runs.records.run_id import check_file_names
from lthbench.runs.status.announcement import announce, sums
from lthbench.runs.status.observer import Observer
from lthbench.runs.store.files import write_whole
from lthbench.suite import Suite
from lthbench.training import numerics

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """The inputs for planning and running a suite."""

    suite: Suite
    methods: tuple[Method, ...]
    manifests: Mapping[str, Manifest]
    home: DataHome
    device: torch.device
    named: tuple[str, ...] = ()  # the methods that the user named

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
        """Return a job with the suite's own methods and the named ones, or with `only` the named ones.

        InputError for anything unknown, and for names that make the same file name. A job for `planning` cannot be run;
        published data sets may be absent.
        """
        registry.load_all()
        if only and not methods:
            raise InputError("--only needs a --method to run")
        own = {m.label: m for m in map(registry.find, () if only else suite.methods)}
        named = {m.label: m for m in map(registry.find, methods)}
        found = own | named
        check_file_names("method", found)
        check_file_names("workload", [workload.name for workload in suite.workload])
        _check_budget(suite, found.values())
        if data is not None and not data.is_dir():
            raise InputError(f"there is no data folder {data}; make it, or leave --data out to use {default_folder()}")
        home = DataHome(data or default_folder())
        where = numerics.chosen_device(device)
        return cls(suite, tuple(found.values()), settings(suite, home, planning), home, where, tuple(named))

    @cached_property
    def plan(self) -> Plan:
        self.suite.check_size(len(self.methods))
        with numerics.one_thread(torch.device("cpu")):
            return plan(self.suite, self.methods, self.manifests)

    @cached_property
    def outline(self) -> PlanTotals:
        """Return the totals of the plan, without keeping the plan."""
        with numerics.one_thread(torch.device("cpu")):
            return outline(self.suite, self.methods, self.manifests)

    def failed(self, out: Path) -> Plan:
        """Return the part of the plan whose records in a run folder say failed.

        InputError where the folder holds runs of another suite, or of another text of this one.
        """
        observer = Observer(out)
        if observer.suite.hash != self.suite.hash:
            raise InputError(f"{out} holds runs of another text of the suite; lthbench run repeats all of them")
        observer.look()
        there = observer.failed
        if others := sorted({run.method for run in there} - {method.label for method in self.methods}):
            log.warning("failed runs of %s are left out: their method was not named", ", ".join(others))
        mine = replace(self, methods=tuple(m for m in self.methods if m.label in {run.method for run in there})).plan
        return Plan(run for run in mine.runs if run.run_id in there)

    def driver(self, out: Path, part: Plan | None = None, command: tuple[str, ...] = (), **options: Any) -> Driver:
        """Return a driver of this job, or of a part of its plan, in the folder `out`.

        The folder gets a copy of the suite, and the typed `command`. Records of another text of the suite are moved aside
        there. A folder of another suite is an InputError.
        """
        todo = part or self.plan  # first: an error in planning must not move anything
        make_way(out, self.suite)
        write_whole(out / "suite.json", self.suite.as_json().encode())
        announce(out, self.suite.hash, {} if part else sums(self.plan), command, self.named)
        return Driver(self.suite, self.manifests, todo, out, self.home, self.device, partial=bool(part), **options)


def _check_budget(suite: Suite, methods: Iterable[Method]) -> None:
    if suite.budget == "none" and (spending := [method.label for method in methods if method.spends_the_budget]):
        raise InputError(
            f"suite {suite.name} sets no budget, and {', '.join(spending)} would spend it whole; "
            "leave the method out, or set one: --set 'budget=\"2T\"'"
        )
