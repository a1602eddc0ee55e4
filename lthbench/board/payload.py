"""Tables as compact JSON for a page: stored by column, strings by code, constants once."""

import json
import math
from functools import partial
from typing import Any

import pandas as pd
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from lthbench.runs.records.columns import RUN_COLUMNS
from lthbench.runs.records.tables import Tables


def columns(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table by column: numbers, or {names, codes}, or {all} if every row has the same value."""
    return {"rows": len(table)} | {str(name): _column(table[name]) for name in table}


def _column(values: pd.Series) -> Any:
    plain = [None if v is None or (isinstance(v, float) and math.isnan(v)) else v for v in values.tolist()]
    if plain and all(v == plain[0] for v in plain):
        return {"all": _short(plain[0])}
    if any(isinstance(v, str) for v in plain):
        names = list(dict.fromkeys(plain))
        codes = {name: i for i, name in enumerate(names)}
        return {"names": names, "codes": [codes[v] for v in plain]}
    return [_short(v) for v in plain]


def _short(value: Any) -> Any:
    """Round to six digits, more than a page shows, and write whole numbers without a decimal point."""
    if not isinstance(value, float):
        return value
    return None if not math.isfinite(value) else int(value) if value.is_integer() else float(f"{value:.6g}")


def runs(results: Tables) -> dict[str, Any]:
    """Return the runs of a page, including failed ones."""
    return columns(results.runs[[column.name for column in RUN_COLUMNS if column.on_page]])


def layers(results: Tables) -> dict[str, Any]:
    """Return removed weights by layer: `layouts` are the distinct (names, sizes); `of` and `removed` follow the runs."""
    layouts: dict[tuple[Any, ...], int] = {}
    of: list[int | None] = [None] * len(results.runs)
    removed: list[list[int]] = [[] for _ in of]
    table = results.layers
    starts = [0, *(table["run"].to_numpy().searchsorted(range(1, len(of) + 1)).tolist())]
    names, sizes, gone = (table[column].tolist() for column in ("layer", "size", "removed"))
    for run in range(len(of)):
        part = slice(starts[run], starts[run + 1])
        if part.start < part.stop:
            layout = (tuple(names[part]), tuple(sizes[part]))
            of[run] = layouts.setdefault(layout, len(layouts))
            removed[run] = gone[part]
    return {"layouts": [{"names": n, "sizes": s} for n, s in layouts], "of": of, "removed": removed}


def embedded(content: Any) -> Markup:
    """Return JSON that is safe inside a script element, whatever a submitter wrote."""
    dumps = partial(json.dumps, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return htmlsafe_json_dumps(content, dumps=dumps)
