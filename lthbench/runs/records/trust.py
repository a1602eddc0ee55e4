"""The level to which each published row was verified: `levels.json` beside the records of a suite."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lthbench.errors import InputError

FILE = "levels.json"
Level = Literal["claimed", "re-evaluated", "re-trained-within-tolerance", "re-trained"]
MEANING: dict[Level, str] = {
    "claimed": "the author's numbers; schema, hashes, completeness and budget receipts were checked",
    "re-evaluated": "the published weights were measured again on the fingerprinted test set",
    "re-trained-within-tolerance": "cells drawn by the maintainer were trained again from the source in another environment, "
    "and agree within the suite's tolerance without a bias",
    "re-trained": "cells drawn by the maintainer were trained again from the source, and agree bit for bit",
}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Verified(_Strict):
    """The publication of a bundle: its level, its authors, the sha256 of its manifest, and the runs that were repeated.

    `models` names the models of its networks by workload, where they are not the workload's own.
    """

    level: Level
    bundle: str
    authors: tuple[str, ...]
    paper: str = ""
    date: str
    seed: int | None = None
    drawn: tuple[str, ...] = ()
    models: dict[str, str] = {}


class Row(Verified):
    """A published row, with the row that it replaced and the results of others for the same method."""

    replaced: "Row | None" = None
    beside: tuple[Verified, ...] = ()


def read(folder: Path) -> dict[str, Row]:
    """Return the rows of a results folder that came from a bundle, by method. InputError for a file that cannot be read."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        return _Rows.model_validate_json(path.read_bytes()).rows
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{path}: not the levels of a board's rows: {field}: {first['msg']}") from None


def text(rows: dict[str, Row]) -> bytes:
    """Return the content of the file: methods in order, without empty fields."""
    ordered: dict[str, Any] = {name: rows[name] for name in sorted(rows)}
    return (_Rows(rows=ordered).model_dump_json(indent=1, exclude_defaults=True) + "\n").encode()


def level_of(rows: dict[str, Row], method: str) -> Level:
    """Return the level of a method's row; `claimed` for a row that did not come from a bundle."""
    return rows[method].level if method in rows else "claimed"


def words(rows: dict[str, Row], method: str) -> str:
    """Return the level of a method's row, with the models that stand in place of the workloads' own."""
    others = rows[method].models if method in rows else {}
    return ", ".join([level_of(rows, method), *(f"{model} for {workload}" for workload, model in others.items())])


class _Rows(_Strict):
    rows: dict[str, Row] = {}
