"""The substitution of RULES.md, section 2: other names for workload, data set and layers, and permuted classes.

A method that depends on any of them fails here, or acts differently.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from lthbench.data import DataHome, EncodedExamples, Examples, prepare
from lthbench.data.packed.examples import pack
from lthbench.errors import InputError
from lthbench.models import own
from lthbench.models.renamed import PREFIX
from lthbench.runs.driver.job import Job
from lthbench.runs.records.record import Record
from lthbench.suite import Suite

OTHER = "other-images"  # name of the data set


def substituted(suite: Suite) -> Suite:
    """Return the first cell of a suite on the same model and images under other names."""
    workload = suite.workload[0]
    patterns = {
        field: tuple(f"*{pattern}" for pattern in getattr(workload, field))
        for field in ("prunable", "dense")
        if not isinstance(getattr(workload, field), str)
    }
    changes = {"model": f"{PREFIX}{own.short(workload.model)}", "dataset": OTHER, **patterns}
    return suite.model_copy(
        update={
            "name": "other",
            "workload": (workload.model_copy(update=changes),),
            "seeds": 1,
            "sparsities": suite.sparsities[:1],
            "control_sparsities": (),
            "learning_rates": suite.learning_rates[:1],
        }
    )


def permuted(home: DataHome, dataset: str, folder: Path) -> DataHome:
    """Pack a data set under another name, with its classes permuted, into a folder."""
    manifest = prepare(home, dataset)
    order = torch.arange(manifest.classes).roll(1)
    both = DataHome(home.folder, frozenset(manifest.sizes))
    splits = {split: _pixels(both.load(dataset, split), dataset) for split in manifest.sizes}
    others = {split: Examples(examples.images, order[examples.labels]) for split, examples in splits.items()}
    pack(folder / OTHER, OTHER, others, manifest.classes)
    return DataHome(folder)


def _pixels(examples: Examples | EncodedExamples, dataset: str) -> Examples:
    if isinstance(examples, Examples):
        return examples
    raise InputError(
        f"the checks permute the classes of small data sets, and {dataset} is packed as files; name another suite"
    )


def acts_otherwise(job: Job, record: Record, run: Callable[[Job], list[Record]]) -> str | None:
    """Run a job's method under the substitution. Returns how it acts differently from `record`, of the first cell.

    After a method has looked at a value, its actions may differ, because other classes give other values. Such a method
    only has to run.
    """
    with tempfile.TemporaryDirectory(prefix="lthbench-check-") as name:
        home = permuted(job.home, job.suite.workload[0].dataset, Path(name))
        other = Job.make(substituted(job.suite), job.methods, home.folder, only=True, device="cpu")
        [found] = run(other)
        if found.result.status == "failed":
            return f"under other names of workload, data set and layers, and permuted classes: {found.result.reason}"
        if not other.plan.runs[0].complete:
            return None
        if (found.result.pipeline, found.result.charged) != (record.result.pipeline, record.result.charged):
            return (
                f"under other names and permuted classes it does {found.result.pipeline}, not {record.result.pipeline}"
            )
    return None
