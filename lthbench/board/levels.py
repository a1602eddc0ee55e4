"""How far a row can be trusted: claimed, re-evaluated or re-trained (`results/<suite>/levels.json`: method to level)."""

import json
from pathlib import Path

from lthbench.errors import InputError

LEVELS = {
    "claimed": "the author's numbers; schema, hashes, completeness and budget receipts were checked",
    "re-evaluated": "the published weights were measured again on the fingerprinted test set",
    "re-trained": "cells drawn by the maintainer were trained again from the source",
}


def levels_in(folder: Path) -> dict[str, str]:
    """The levels noted in a results folder, by method. InputError if the file is broken or names another level."""
    path = folder / "levels.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(found, dict) or not set(found.values()) <= set(LEVELS):
        raise InputError(f"{path}: a level is needed for each method, one of {', '.join(LEVELS)}")
    return found


def level_of(folder: Path, method: str) -> str:
    """The level of a method's row; `claimed` unless noted."""
    return levels_in(folder).get(method, "claimed")
