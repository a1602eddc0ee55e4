"""A ticket, to be used outside: start weights and mask, with the values that its training ended with."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from lthbench.errors import InputError, MissingEntry
from lthbench.models import Model
from lthbench.pruning.mask import Mask
from lthbench.pruning.state import State, module_of
from lthbench.runs.driver.final_network import KIND, FinalNetwork, noted_model, restored
from lthbench.runs.records import record as records
from lthbench.runs.store.store import Store
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.manifest import NAME
from lthbench.suite import Suite, names

T = TypeVar("T")
CELL = ("method", "workload", "learning_rate", "sparsity", "seed")


@dataclass(frozen=True, repr=False)
class Ticket:
    """A pruned network that was trained: its mask, start weights and final values. `about` says of which run.

    `start` and `final` hold parameters and buffers by name; pruned weights are zero in both. `module()`, `compact(…)` and
    exports take the final values; those of `at_start` take the start weights.
    """

    model: Model
    mask: Mask
    start: Mapping[str, Tensor]
    final: Mapping[str, Tensor]
    about: Mapping[str, Any]

    @property
    def at_start(self) -> "Ticket":
        """Return the ticket before its training: the final values are the start weights."""
        return replace(self, final=self.start)

    @property
    def trained(self) -> bool:
        """Tell whether the final values are another thing than the start weights."""
        return self.final is not self.start

    def module(self) -> nn.Module:
        """Return a private module in eval mode, on the CPU, with the final values."""
        names = self.model.shapes
        params = {n: t for n, t in self.final.items() if n in names}
        buffers = {n: t for n, t in self.final.items() if n not in names}
        return module_of(self.model, State(params, buffers, {})).eval()

    def __repr__(self) -> str:
        """Return one line: model, what is removed, and the run."""
        run = _words(self.about) if self.about.keys() >= set(CELL) else ""
        state = "" if self.trained else " at its start"
        return f"<Ticket{state}: {self.model.name}, {self.mask.removed:,} of {self.mask.prunable:,} removed; {run}>"


def load_ticket(path: str | Path, **which: str | float | int) -> Ticket:
    """Load the ticket of one run, from a bundle or from a run folder that was made with --keep finals.

    `which` chooses by method, workload, learning_rate, sparsity and seed, as far as that is needed. InputError where
    none or several fit.
    """
    if unknown := which.keys() - set(CELL):
        raise InputError(f"a ticket is chosen by {', '.join(CELL)}, not by {', '.join(sorted(unknown))}")
    path = Path(path)
    in_runs = (path / "suite.json").is_file() and not (path / NAME).is_file()
    return _in_run_folder(path, which) if in_runs else _in_bundle(path, which)


def _in_bundle(path: Path, which: Mapping[str, Any]) -> Ticket:
    with bundles.opened(path) as bundle:
        named = bundle.manifest
        cells = [(dict(zip(CELL, (named.method, *t.cell), strict=True)), t) for t in named.tickets]
        about, ticket = _only(path, cells, which)
        about |= {"suite": named.suite.name, "authors": ", ".join(named.authors),
                  "paper": named.paper, "license": named.license}  # fmt: skip
        return _ticket(bundle.final(ticket, _models(named.suite.name)), about)


def _in_run_folder(path: Path, which: Mapping[str, Any]) -> Ticket:
    done = [record for record in records.in_folder(path) if record.result.status == "ok"]
    cells = [(dict(zip(CELL, astuple(record.run_id), strict=True)), record) for record in done]
    about, record = _only(path, cells, which)
    return _ticket(kept(path, str(record.result.weights)), about | {"suite": record.result.suite})


def _only(path: Path, cells: list[tuple[dict[str, Any], T]], which: Mapping[str, Any]) -> tuple[dict[str, Any], T]:
    """Return the one cell that fits, with what belongs to it. InputError where none or several fit."""
    found = [(about, it) for about, it in cells if all(about[name] == value for name, value in which.items())]
    if len(found) != 1:
        there = "; ".join(_words(about) for about, _ in found[:3]) or "none"
        raise InputError(f"{path}: {len(found)} tickets fit ({there}); choose one by {', '.join(CELL)}")
    return found[0]


def _models(suite: str) -> set[str]:
    """Return the models of a suite that comes with lthbench: these may be another library's."""
    return {w.model for w in Suite.read(suite).workload} if suite in names() else set()


def kept(results: Path, weights: str) -> FinalNetwork:
    """Return the final network that a run folder keeps of a run, by the digest of its weights. InputError where it keeps none."""
    tensors, note = entry(results, weights)
    return restored(noted_model(note), note["origin"], tensors)


def entry(results: Path, weights: str) -> tuple[dict[str, Tensor], Any]:
    """Return the same as it lies in the store: tensors and note."""
    for build in sorted(path.name for path in (results / "store").glob("*") if path.is_dir()):
        try:
            return Store(results / "store", build).read(KIND, weights)
        except MissingEntry:
            continue
    raise InputError(
        f"{results} keeps no final values of this run; type: lthbench run SUITE --method … --keep finals --out ANOTHER"
    )


def _ticket(final: FinalNetwork, about: Mapping[str, Any]) -> Ticket:
    start, ended = (state.params | state.buffers for state in (final.start, final.state))
    return Ticket(final.model, Mask(final.state.mask), start, ended, about)


def _words(about: Mapping[str, Any]) -> str:
    return f"{about['method']} {about['workload']} lr {about['learning_rate']:g} sparsity {about['sparsity']:g} seed {about['seed']}"
