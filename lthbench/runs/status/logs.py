"""The logs of a run folder: find them, and group those of runs that failed in the same way."""

import re
from pathlib import Path
from typing import Any

from lthbench.errors import InputError, unknown
from lthbench.runs.records.run_id import file_name, parts_of
from lthbench.runs.status.observer import Observer
from lthbench.suite import in_folder

FAILURE = re.compile(r"\S+  failed +", re.MULTILINE)


def logs(folder: Path, failed: bool = False, method: str | None = None, **where: Any) -> list[Path]:
    """Return the logs of runs: of all, of those that `failed`, of one method, or of the given cell.

    `where`: workload, learning_rate, sparsity, seed. InputError where there is no such log.
    """
    in_folder(folder)
    paths = sorted((folder / "logs").glob("*/*.log"))
    there = {path.parent.name for path in paths}
    if method is not None and paths and file_name(method) not in there:
        raise InputError(f"{folder}: " + unknown("log of method", method, there))
    if failed:
        observer = Observer(folder)
        observer.look()
        wanted = {run.log(folder) for run in observer.failed}
        paths = [path for path in paths if path in wanted]
    asked = {part: value for part, value in where.items() if value is not None}
    if "workload" in asked:
        asked["workload"] = file_name(asked["workload"])
    if method is not None:
        paths = [path for path in paths if path.parent.name == file_name(method)]
    found = [path for path in paths if asked.items() <= parts_of(path.stem).items()]
    if not found:
        raise InputError(f"{folder} has no log of such a run; lthbench status {folder} shows the runs")
    return found


def alike(paths: list[Path]) -> list[list[Path]]:
    """Group the logs of failed runs by the text of their last failure, traceback included."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        said = FAILURE.split(path.read_text(errors="replace"))[-1]
        groups.setdefault(re.sub(r"on [0-9a-f]{8}\)", "on …)", said), []).append(path)
    return list(groups.values())
