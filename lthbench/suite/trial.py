"""Trials: suites with some keys changed, for a first look. A trial is never taken for the published suite."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lthbench.errors import InputError, unknown
from lthbench.suite.suite import Suite, names, problems
from lthbench.suite.workload import Workload
from lthbench.training.recipe import Recipe

FIXED = {"name", "version", "about", "group", "changes"}  # they tell a trial from its suite, or only describe it
FILES = {"model", "start"}  # keys of a workload that may name a file, whose digest is noted beside them
TABLES = {
    "recipe": Recipe.__dataclass_fields__.keys() - {"lr"},
    "workload": Workload.model_fields.keys() - {f"{name}_digest" for name in FILES},
}
KEYS = {*(Suite.model_fields.keys() - FIXED - TABLES.keys()), *(f"{t}.{k}" for t, keys in TABLES.items() for k in keys)}


def trial(suite: Suite, changes: Mapping[str, Any]) -> Suite:
    """Return the suite with some keys changed, by dotted path: {"recipe.epochs": 5, "sparsities": [0.9]}.

    "workload.tolerance" is the key of every workload, "workload.0.tolerance" that of the first. A value that the suite
    has already is no change, and a suite without changes is returned as it is. A trial lists its changes, and has a
    version and a hash of its own. A file that a change names lies in the working folder. InputError for an unknown key,
    or a value that the key cannot have.
    """
    content = json.loads(suite.as_json())
    for path, value in changes.items():
        for table, key in _places(content, path):
            table[key] = value
            table.pop(f"{key}_digest", None)
    made = _read(suite, content)
    new = [path for path in changes if _value(made, path) != _value(suite, path)]
    if not new:
        return suite
    said = {text.partition(" = ")[0]: text for text in suite.changes} | {
        path: f"{path} = {json.dumps(changes[path], default=str)}" for path in new
    }
    version = f"{suite.version.partition('+')[0]}+trial"
    return made.model_copy(update={"changes": tuple(sorted(said.values())), "version": version})


def unpublished(suite: Suite) -> str:
    """Return why a suite is not the published one of its name; "" where it is, or where none of its name is published."""
    if suite.changes:
        return f"a trial of {suite.name} with {', '.join(suite.changes)}"
    if suite.name in names() and Suite.read(suite.name).hash != suite.hash:
        return f"an edited copy of {suite.name}"
    return ""


def _places(content: dict[str, Any], path: str) -> list[tuple[dict[str, Any], str]]:
    """Return the tables that hold a key, and its name in them."""
    found = re.fullmatch(r"(?:(recipe)|workload(?:\.(\d{1,6}))?)\.(.+)", path)
    plain = f"{path.partition('.')[0]}.{found[3]}" if found else path
    if plain not in KEYS:
        raise InputError(unknown("key of a suite", path, KEYS))
    if not found:
        return [(content, path)]
    if found[1]:
        return [(content["recipe"], found[3])]
    tables = content["workload"]
    if found[2] and int(found[2]) >= len(tables):
        raise InputError(f"there is no {path}: the suite's workloads are 0 to {len(tables) - 1}")
    return [(table, found[3]) for table in (tables[int(found[2]) :][:1] if found[2] else tables)]


def _value(suite: Suite, path: str) -> list[Any]:
    """Return the values of a key, one for each table that holds it."""
    return [table[key] for table, key in _places(suite.model_dump(mode="json"), path)]


def _with_files(new: Workload, old: Workload) -> Workload:
    """Return a workload with the digests of the files that a change names."""
    return new if all(getattr(new, key) == getattr(old, key) for key in FILES) else new.beside(Path())


def _read(suite: Suite, content: dict[str, Any]) -> Suite:
    try:
        made = Suite.model_validate_json(json.dumps(content, default=str), strict=True)
        pairs = zip(made.workload, suite.workload, strict=True)
        return made.model_copy(update={"workload": tuple(_with_files(new, old) for new, old in pairs)})
    except ValidationError as error:
        raise InputError("; ".join(f"suite {suite.name}: {problem}" for problem in problems(error))) from None
    except (InputError, ValueError) as error:
        raise InputError(f"suite {suite.name}: {error}") from None
