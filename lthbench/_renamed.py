"""Renamed names: the old name still works, and warns once with the new one."""

import warnings
from collections.abc import Mapping

PACKAGE = {"Live": "TrainingState", "starting": "starting_point", "stretched": "transferred_to_depth"}
RUN = {"apart": "off_budget"}

_said: set[str] = set()


def attribute(owner: str, name: str, renamed: Mapping[str, str]) -> str:
    """Return the new name of an attribute, after one warning. Raises AttributeError for a name that never existed."""
    if name not in renamed:
        raise AttributeError(f"{owner} has no attribute {name!r}")
    if name not in _said:
        _said.add(name)
        warnings.warn(f"{owner}: {name} is {renamed[name]} now; write {renamed[name]}", FutureWarning, stacklevel=3)
    return renamed[name]
