"""The second level makes every network again from its ticket and measures it on the fingerprinted data. It runs no method."""

import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lthbench import bits
from lthbench.data import DataHome, Manifest
from lthbench.errors import InputError, LthbenchError
from lthbench.methods.internals.operations import Evaluate
from lthbench.methods.internals.setting import Setting
from lthbench.models import Model
from lthbench.pruning.lineage import Lineage, Trained
from lthbench.pruning.tensors import Tensors
from lthbench.runs.driver import final_network
from lthbench.runs.records.record import Record, Result
from lthbench.runs.store.store import Store
from lthbench.runs.workers.evaluation import Evaluation
from lthbench.runs.workers.worker import Worker
from lthbench.submission.battery.check import Finding
from lthbench.submission.bundle import bundle as bundles
from lthbench.submission.bundle.bundle import Bundle
from lthbench.submission.bundle.manifest import Ticket
from lthbench.submission.verification.likeness import Likeness
from lthbench.submission.verification.measured import measured
from lthbench.submission.verification.report import finding
from lthbench.suite import Cell, Suite
from lthbench.training import numerics

TOLERANCE = {"fp32": 0.001, "tf32": 0.002, "bf16": 0.005}  # share of answers that may differ in another environment
LARGER = 16  # a method's model may have so many times the weights of the workload's
CHECKS = ("data", "shapes", "sparsity", "start", "accuracy")


def reevaluated(
    bundle: Bundle, suite: Suite, manifests: Mapping[str, Manifest], home: DataHome
) -> tuple[list[Finding], tuple[Record, ...]]:
    """Check shapes, sparsity, start weights and accuracy of every ticket; return the findings, and the records with what
    was measured in place of what they said. `home` may read both splits."""
    checks: dict[str, list[str]] = {name: [] for name in CHECKS}
    records = {_cell(r.result): r for r in bundle.records}
    cells = {(c.workload.name, c.learning_rate, c.sparsity, c.seed): c for c in _every(suite)}
    found, likeness = dict(records), Likeness()
    with Measure.of(home) as measure:
        for ticket in bundle.manifest.tickets:
            setting = Setting(suite, cells[ticket.cell], manifests[cells[ticket.cell].workload.dataset])
            look = Look(bundle, ticket, records[ticket.cell], setting, measure, likeness)
            for check, problem in look.problems():
                checks[check].append(f"{setting.cell}: {problem}")
            found[ticket.cell] = look.measured
    n = len(bundle.manifest.tickets)
    fine = {
        "data": "the fingerprints, classes and sizes of the data here",
        "shapes": f"{n} networks have the parameters of their models",
        "sparsity": "counted: final = final × mask, as the records say",
        "start": _starts(bundle),
        "accuracy": f"{n} networks measured again {measure.how(bundle.records)}",
    }
    findings = [finding(check, problems, fine[check]) for check, problems in checks.items()]
    alike = finding("likeness", likeness.problems(), "networks of different seeds differ")
    return [*findings, alike], tuple(found[_cell(r.result)] for r in bundle.records)


class Measure:
    """Evaluates the state of a network as a suite's run does."""

    def __init__(self, folder: Path, home: DataHome):
        self.device = torch.device("cpu")
        self.environment = numerics.environment(self.device)
        self.store = Store(folder, numerics.environment_key(self.device))
        self._worker = Worker(self.store, home, self.device)

    @classmethod
    @contextmanager
    def of(cls, home: DataHome) -> Iterator["Measure"]:
        """Measure in a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="lthbench-verify-") as folder:
            yield cls(Path(folder), home)

    def evaluate(self, final: final_network.FinalNetwork, setting: Setting, name: str) -> Evaluation:
        """Evaluate a network."""
        return Evaluation.model_validate(self._evaluated(final, setting, name)[1])

    def accuracy(self, final: final_network.FinalNetwork, setting: Setting, order: list[int] | None = None) -> float:
        """Return the test accuracy of a network in percent; `order` says which class each class is called."""
        tensors, note = self._evaluated(final, setting, "again")
        if order is None:
            right, of = note["right"]["test"]
            return float(100 * right / of)
        said = tensors["predictions"].long()
        labels = self._worker.feed(setting.split, "test").labels
        return float(100 * (said == torch.tensor(order)[labels]).double().mean())

    def _evaluated(self, final: final_network.FinalNetwork, setting: Setting, name: str) -> tuple[Any, Any]:
        """Return the tensors and the note of an evaluation, and leave nothing of it behind."""
        root = Trained(final.model, name, 0)
        self.store.write_state(root.key, final.state, 0)
        test = setting.manifest.fingerprints["test"]
        operation = Evaluate(Lineage(root), setting.split, setting.suite.precision, test, pattern=setting.suite.pattern)
        with numerics.one_thread(self.device):
            self._worker.perform(operation)
        self.store.drop("states", root.key)
        found = self.store.read("values", operation.key)
        self.store.drop("values", operation.key)
        return found

    def same_environment(self, record: Record) -> bool:
        """Say whether the record was made in this environment, where every answer must be the same."""
        return record.provenance.environment == self.environment

    def how(self, records: tuple[Record, ...]) -> str:
        if all(map(self.same_environment, records)):
            return "in the records' own environment: the same counts"
        return "in another environment: the same counts within its tolerance"


def allowed(precision: str, of: int, same_environment: bool) -> int:
    """Return how many of `of` answers may differ: none in one environment, at least one in another."""
    return 0 if same_environment else max(1, math.ceil(TOLERANCE[precision] * of))


@dataclass
class Look:
    """One ticket, looked at. `measured` is its record with what was measured, once `problems` has run through."""

    bundle: Bundle
    ticket: Ticket
    record: Record
    setting: Setting
    measure: Measure
    likeness: Likeness

    def __post_init__(self) -> None:
        self.measured = self.record

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield a check and what is wrong, for everything that is wrong."""
        r = self.record.result
        if problem := _other_data(r, self.setting):
            yield "data", problem
            return
        try:
            check_model(self.ticket.model.model, self.setting)
            final = self.bundle.final(self.ticket, {self.setting.model.name})
        except LthbenchError as error:
            yield "shapes", str(error)
            return
        yield from self._measured(r, final)

    def _measured(self, r: Result, final: final_network.FinalNetwork) -> Iterator[tuple[str, str]]:
        if not final.start.finite:
            yield "shapes", "its start weights are not finite"
            return
        if problem := _start(self.ticket, final, self.setting):
            yield "start", problem
        found = self.measure.evaluate(final, self.setting, self.ticket.file.sha256)
        if found.finite != (r.status == "ok"):
            yield "shapes", f"its weights are {'' if found.finite else 'not '}finite, the record says {r.status}"
        self.likeness.add(self.ticket, final.state, _start_of(final.model, self.setting))
        yield from (("sparsity", problem) for problem in _sparsity(r, found, final, self.setting))
        if found.weights != r.weights:
            yield "shapes", "its weights are not those of the record"
        same = self.measure.same_environment(self.record)
        yield from (("accuracy", problem) for problem in _accuracy(r, found, self.setting.suite.precision, same))
        self.measured = measured(self.record, found)


def check_model(model: Model, setting: Setting) -> None:
    """Raise InputError unless a ticket's model is the workload's, or another of its kind and of a like size."""
    own = setting.model
    if (model.shape, model.classes, model.prunable, model.dense, model.stem) != (
        own.shape, own.classes, own.prunable, own.dense, own.stem,
    ):  # fmt: skip
        raise InputError(f"its model {model.name} is not for the images of the workload, or prunes other parameters")
    if model.name != own.name:
        bundles.check_own(model)
    if _family(model) != _family(own):
        raise InputError(f"its model {model.name} is not a model of the workload's kind, {own.name}")
    most = LARGER * sum(shape.numel() for shape in own.shapes.values())
    if sum(shape.numel() for shape in model.shapes.values()) > most:
        raise InputError(f"its model {model.name} has more than {LARGER} times the weights of {own.name}")


def _family(model: Model) -> str:
    """Return the family of a model: the letters that its name begins with."""
    return (re.match(r"[a-z]+:?[a-z]*", model.name) or [model.name])[0]


def _other_data(r: Result, setting: Setting) -> str | None:
    manifest = setting.manifest
    for split in ("train", "test"):
        if r.fingerprints.get(split) != manifest.fingerprints[split]:
            return f"its {split} split is not the {r.dataset} that is here"
    if r.fingerprints.get("start") != setting.given.get("start"):
        return f"its start is not the one that {setting.cell.workload.name} has here"
    if (r.classes, r.epoch) != (manifest.classes, setting.n_train):
        return f"{r.classes} classes and epochs of {r.epoch}, here are {manifest.classes} and {setting.n_train}"
    return None


def _start(ticket: Ticket, final: final_network.FinalNetwork, setting: Setting) -> str | None:
    """Compare start weights that are said to be the seed's, or the workload's start, with these bit for bit."""
    origin = ticket.origin
    if origin.kind not in ("init", "pretrained"):
        return None
    if origin.seed != setting.cell.seed:
        return f"its start weights are those of seed {origin.seed}"
    if origin.kind == "pretrained" and (origin.start != setting.start_key or final.model != setting.model):
        return "its start weights are not the workload's start"
    if not any(name.startswith("start") for name in final.tensors):
        return None
    tensors = _start_of(final.model, setting) if origin.start else {}
    wanted = final_network.seeded_start(final.model, origin.model_dump(exclude_none=True), final.state.mask, tensors)
    said = final_network.restored(final.model, {"kind": "edited"}, final.tensors).start
    same = all(t.equal(wanted.params[n]) for n, t in said.params.items())
    return (
        None if same else "its start weights are not " + ("the start" if origin.start else "the seeded initialisation")
    )


def _start_of(model: Model, setting: Setting) -> Tensors:
    """Return the pretrained tensors that a model starts with; none for another model than the workload's."""
    return setting.start_tensors.get(setting.start_key, {}) if model == setting.model else {}


def _sparsity(r: Result, found: Evaluation, final: final_network.FinalNetwork, setting: Setting) -> Iterator[str]:
    removed = setting.model.prunable_count - sum(size - gone for gone, size in found.layers.values())
    if (removed, setting.model.prunable_count) != (r.removed, r.prunable):
        yield f"{removed} of {setting.model.prunable_count} weights are removed, the record says {r.removed} of {r.prunable}"
    elif found.layers != r.layers or found.mask_digest != r.mask_digest:
        yield "its mask is not that of the record"
    if found.off_pattern:
        yield f"{found.off_pattern} groups do not follow the pattern {setting.suite.pattern}"
    if r.parameters_total != sum(shape.numel() for shape in final.model.shapes.values()):
        yield f"the record says {r.parameters_total} parameters, its model has others"
    if r.multiplications is None or found.multiplications != r.multiplications:
        yield f"{found.multiplications} multiplications, the record says {r.multiplications}"


def _accuracy(r: Result, found: Evaluation, precision: str, same_environment: bool) -> Iterator[str]:
    for part, (right, of) in found.right.items():
        said, slack = getattr(r, part), allowed(precision, of, same_environment)
        if said is None or said.of != of or abs(said.right - right) > slack:
            yield f"{right} of {of} {part} answers are right, the record says {said and said.right}"
        elif part == "test" and r.correct is not None:
            others = (bits.flags(r.correct, of) != bits.flags(found.correct, of)).sum()
            if others > slack:
                yield f"{others} of {of} test images are answered rightly where the record says wrongly, or the reverse"


def _starts(bundle: Bundle) -> str:
    count = Counter(ticket.origin.kind for ticket in bundle.manifest.tickets)
    words = {
        "init": "from the seed, drawn again",
        "pretrained": "the workload's start, compared",
        "trained": "rewound or trained, as declared (--retrain checks it)",
        "edited": "made by the method (--retrain checks it)",
    }
    return "; ".join(f"{n} {words[kind]}" for kind, n in sorted(count.items()))


def _every(suite: Suite) -> list[Cell]:
    return [*suite.cells(), *suite.cells(dense=True)]


def _cell(r: Result) -> tuple[str, float, float, int]:
    return r.workload, r.learning_rate, r.sparsity, r.seed
