"""Types of arguments: suites, methods and run folders. They load without torch, and the shell completes them."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from lthbench.commands.shared import Folder
from lthbench.errors import unknown

_ROOT = Path(__file__).parent.parent
ARMS = ("", "-long", "-shuffled", "-reinit")  # the methods that @at_init makes of one criterion


def _shipped(name: str) -> Path:
    """Return a folder that comes with lthbench: inside an installed package, or beside the package in a checkout."""
    return next(path for path in (_ROOT / name, _ROOT.parent / name) if path.is_dir())


@cache
def suite_names() -> tuple[str, ...]:
    """Return the names of the suites that come with lthbench."""
    return tuple(sorted(path.stem for path in _shipped("suites").glob("*.toml")))


@cache
def method_names() -> tuple[str, ...]:
    """Return the names of the baselines' methods, read from the text of the files without importing them."""
    return tuple(sorted({name for path in _shipped("baselines").glob("*.py") for name in _entered(path)}))


def _entered(path: Path) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    found: list[str] = []
    for call in calls:
        kind = call.func.id if isinstance(call.func, ast.Name) else ""
        if kind in ("method", "at_init") and call.args and isinstance(call.args[0], ast.Constant):
            own = str(call.args[0].value)
            found += [own + arm for arm in _arms(call)] if kind == "at_init" else [own]
    return found


def _arms(call: ast.Call) -> tuple[str, ...]:
    """Return the suffixes of the methods that one @at_init enters; only the first two without controls."""
    values = {word.arg: word.value for word in call.keywords}
    controls = values.get("controls")
    return ARMS[:2] if isinstance(controls, ast.Constant) and not controls.value else ARMS


class SuiteType(click.ParamType):
    """A suite that comes with lthbench, or the path of a TOML file."""

    name = "suite"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        known = suite_names()
        if Path(value).is_file() or value in known or value in {f"suites/{name}.toml" for name in known}:
            return str(value)
        said = unknown("suite", value, known) + " Give one of these, or the path of a TOML file."
        raise click.BadParameter(said, ctx, param)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        files = [CompletionItem(incomplete, type="file")] if "/" in incomplete or "." in incomplete else []
        return [CompletionItem(name) for name in suite_names() if name.startswith(incomplete)] + files


class MethodType(click.ParamType):
    """A method: NAME, or FILE.py:NAME. A name that an installed package may offer is accepted."""

    name = "method"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        from importlib.metadata import entry_points  # 30 ms

        name = str(value).partition("[")[0]
        if ".py" in name or name in method_names() or entry_points(group="lthbench.methods"):
            return str(value)
        raise click.BadParameter(unknown("method", name, method_names()), ctx, param)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        files = [CompletionItem(incomplete, type="file")] if "/" in incomplete or "." in incomplete else []
        return [CompletionItem(name) for name in method_names() if name.startswith(incomplete)] + files


class RunFolder(Folder):
    """A folder. The shell completes folders with records."""

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        base = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
        places = (base, base / "runs") if base == Path() else (base,)
        folders = [path for place in places for path in sorted(place.glob("*")) if has_records(path)]
        found = [str(path) for path in folders if str(path).startswith(incomplete)]
        return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="dir")]


def has_records(folder: Path) -> bool:
    """Say whether a folder is a run folder, or a folder of records."""
    return folder.is_dir() and ((folder / "suite.json").is_file() or any(folder.glob("*.jsonl")))


SUITE, METHOD, RUN_FOLDER = SuiteType(), MethodType(), RunFolder()
