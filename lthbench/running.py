"""The function that runs a suite from Python. The command `lthbench run` calls it."""

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from lthbench.errors import InputError
from lthbench.methods.registry import Method
from lthbench.results import Results, load_results
from lthbench.runs.driver.driver import Driver, default_workers
from lthbench.runs.driver.folder import default_folder
from lthbench.runs.driver.job import Job
from lthbench.runs.records.record import Record
from lthbench.runs.store.policy import Keep
from lthbench.suite import Suite
from lthbench.suite.trial import unpublished

log = logging.getLogger(__name__)

OnRecord = Callable[[Record], None]


def run_suite(
    suite: str | Path | Suite,
    methods: Sequence[str | Method | Callable[..., Any]] = (),
    *,
    out: str | Path | None = None,
    only: bool = False,
    only_failed: bool = False,
    executor: str = "local",
    workers: int | None = None,
    device: str = "",
    data: Path | None = None,
    gpus: int = 1,
    keep: Keep = "masks",
    watched: Callable[[Driver], AbstractContextManager[OnRecord]] = lambda driver: nullcontext(lambda record: None),
    **options: Any,
) -> Results:
    """Run a suite and return its results, as `load_results(out)` reads them. Finished work is never computed again.

    `suite`: a name, a TOML file or a Suite. Files that a Suite names lie in the working folder.
    `methods`: others beside the suite's own, as typed for --method, or functions under @method. `only`: run these alone.
    `out`: the run folder (default: runs/<suite>; for a trial, or an edited copy of a published suite, runs/<suite>-<hash>).
    `only_failed`: repeat the runs of the folder that failed.
    `workers`: processes (default: one a core, or one a GPU).
    `watched`: a context that opens before the first run; it yields a function that is called with every record.
    `options`: those of Driver (address, gpu_share, lanes).

    It works in a script without `if __name__ == "__main__"`, in a notebook and from standard input. InputError for anything
    unknown. A run that fails raises nothing.

    >>> results = run_suite("smoke", out="runs/smoke")  # doctest: +SKIP
    >>> results.duel("lottery-ticket", "prune-finetune")  # doctest: +SKIP
    """
    read = suite.beside(Path.cwd()) if isinstance(suite, Suite) else Suite.read(suite)
    job = Job.make(read, methods, data, only, device)
    folder = _folder(out, job.suite, only_failed)
    driver = job.driver(
        folder,
        job.failed(folder) if only_failed else None,
        ("lthbench", *sys.argv[1:]),
        executor=executor,
        workers=workers or default_workers(job.device, gpus),
        gpus=gpus,
        keep=keep,
        **options,
    )
    with watched(driver) as on_record:
        driver.run(on_record)
    return load_results(folder)


def _folder(out: str | Path | None, suite: Suite, there: bool) -> Path:
    """Return the run folder: the given one, else the default. `there`: it must exist already."""
    if out is not None:
        if not str(out):
            raise InputError("out is empty; name a folder, or leave it out")
        return Path(out)
    folder, plain = default_folder(suite), Path("runs") / suite.name
    if there and not folder.is_dir():
        return plain
    if folder != plain:
        why = unpublished(suite) or f"another text of {suite.name} than the one in {plain}"
        log.warning("this is %s; its runs are in %s", why, folder)
    return folder
