"""Fills the generated parts of the documents: `<!-- generated: NAME -->` becomes what NAME writes. Called by mkdocs."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from lthbench._public import MODULES
from lthbench.cli import main
from lthbench.commands.printing import listing
from lthbench.methods import registry
from lthbench.runs.records.columns import RUN_COLUMNS
from lthbench.runs.records.record import Provenance, Result
from lthbench.runs.records.tables import Tables

ROOT = Path(__file__).parent.parent
WIDTH = 80  # characters of a line of help

GROUPS = {
    "lthbench.results": "Running and reading",
    "lthbench.running": "Running and reading",
    "lthbench.submission": "Running and reading",
    "lthbench.deployment": "Running and reading",
    "lthbench.methods.theory": "Constructions from theory",
    "lthbench.methods": "Methods",
    "lthbench.models": "Methods",
    "lthbench.pruning.bases": "Bases",
    "lthbench.pruning": "Masks",
    "lthbench.training.rules": "Rules",
    "lthbench.training.probes": "Probes",
    "lthbench.training": "Trainings",
    "lthbench.errors": "Errors",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page with its generated parts. mkdocs calls this for every page."""
    return re.sub(r"<!-- generated: (\w+) -->", lambda found: PARTS[found[1]](), markdown)


def methods() -> str:
    """Return a table of all methods that come with lthbench."""
    rows = [
        (f"`{m.name}`", _parameters(m), m.cost, f"`{m.control_of}`" if m.control_of else "", m.about, m.cite)
        for m in sorted(registry.load_all().values(), key=lambda m: m.name)
    ]
    return _table(rows, ["method", "parameters", "cost", "control of", "what it does", "citation"])


def columns() -> str:
    """Return a table of the columns of `runs`."""
    return _table([(f"`{column.name}`", column.about) for column in RUN_COLUMNS], ["column", "meaning"])


def tables() -> str:
    """Return the tables beside `runs`, from the docstring of Tables."""
    said = re.findall(r"^ {4}(\w+): (run, .*?)\.$", str(Tables.__doc__), flags=re.MULTILINE | re.DOTALL)
    return _table([(f"`{name}`", " ".join(columns.split())) for name, columns in said], ["table", "columns"])


def result() -> str:
    """Return the fields of `result`, and what its docstring says of them."""
    return _fields(Result)


def provenance() -> str:
    """Return the fields of `provenance`, and what its docstring says of them."""
    return _fields(Provenance)


def models() -> str:
    """Return a table of the models."""
    rows, headers = listing.models()
    return _table([(f"`{name}`", place) for name, place in rows], headers)


def commands() -> str:
    """Return every command with its help, as the terminal shows it."""
    return "\n".join(_help(click.Context(main, info_name="lthbench"), main))


def api() -> str:
    """Return a reference of every public name, in groups."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(MODULES.keys() - {"__version__"}):
        module = MODULES[name]
        prefix = max((p for p in GROUPS if f"{module}.".startswith(f"{p}.")), key=len)
        groups[GROUPS[prefix]].append(f"### {name}\n\n::: {module}.{name}\n")
    return "\n".join(f"## {title}\n\n" + "\n".join(groups[title]) for title in dict.fromkeys(GROUPS.values()))


PARTS: dict[str, Callable[[], str]] = {
    part.__name__: part for part in (methods, columns, tables, result, provenance, models, commands, api)
}


def _help(context: click.Context, command: click.Command) -> Iterator[str]:
    """Yield the help of a command, and of the commands below it."""
    context.terminal_width = WIDTH
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        below = command.get_command(context, name)
        assert below is not None
        yield from _help(click.Context(below, parent=context, info_name=name), below)


def _parameters(method: registry.Method) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in method.defaults.items())


def _fields(model: Any) -> str:
    rows = [(f"`{field.alias or name}`", _kind(field.annotation)) for name, field in model.model_fields.items()]
    text = re.sub(r"\s+", " ", str(model.__doc__))
    return f"{text}\n\n{_table(rows, ['field', 'type'])}"


def _kind(annotation: Any) -> str:
    """Return a type as a reader writes it: without the bounds that a field has."""
    text = str(annotation)
    if "Annotated[" in text:
        text = re.sub(r"typing\.Annotated\[([\w.]+), (?:\w+\(.*?\)+)\]", lambda found: found[1], text)
    plain = re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", lambda found: found[1], text)
    plain = re.sub(r"(?:\w+\.)+(\w+)", lambda found: found[1], plain)
    return f"`{plain.replace(' | ', ' or ').replace('NoneType', 'None')}`"


def _table(rows: list[tuple[str, ...]], headers: list[str]) -> str:
    safe = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return tabulate(safe, headers, tablefmt="github", disable_numparse=True)
