"""The rooms of lthbench and the arrows between them. `python -m tests.architecture` prints them.

A room is a file or a folder of `lthbench`. An arrow goes from the room that imports to the room that is imported;
imports inside functions and for type checkers count. A circle is a set of rooms or files that reach each other.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST = 14  # files in a folder
LARGE = ("models", "templates")  # one file for each model, and the templates of the pages

ORDER = (
    ("errors", "keys", "bits", "source", "loading", "budget", "_version", "_renamed", "_public", "system"),
    ("data", "models"),
    ("pruning",),
    ("training",),
    ("suite",),
    ("methods",),
    ("runs",),
    ("scoring",),
    ("board", "bench"),
    ("report", "submission", "deployment", "results", "running"),
    ("commands",),
    ("__init__", "cli"),
)
"""The rooms at the top, lowest first. An arrow goes down, or to another room of its own level."""

WITHIN = {
    "runs": (("store",), ("records",), ("workers",), ("plan",), ("status", "ray"), ("driver",)),
    "submission": (("battery", "bundle", "copied"), ("verification",), ("publish",)),
}
"""The order of the rooms within a room."""

FACE = "__init__"  # its names are loaded on demand, so an import of one counts as an import of its module


@dataclass(frozen=True)
class House:
    """The modules of a package, and the imports of each."""

    root: Path
    package: str = "lthbench"

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Return files by dotted name below the package: `runs.plan.planner`. A package is its `__init__`."""
        files = sorted((self.root / self.package).rglob("*.py"))
        return {".".join(f.relative_to(self.root / self.package).with_suffix("").parts): f for f in files}

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """Return the modules that each module imports."""
        return {name: set(self._imported(name, path)) - {name} for name, path in self.modules.items()}

    def _imported(self, name: str, path: Path) -> Iterable[str]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                base = self._absolute(name, node)
                if base is not None:
                    yield from (self._module([*base, alias.name]) for alias in node.names)
            elif isinstance(node, ast.Import):
                parts = (alias.name.split(".") for alias in node.names)
                yield from (self._module(words[1:]) for words in parts if words[0] == self.package)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
                text = getattr(node.args[0], "value", "")
                if isinstance(text, str) and text.startswith(f"{self.package}."):
                    yield self._module(text.split(".")[1:])

    def _absolute(self, name: str, node: ast.ImportFrom) -> list[str] | None:
        """Return the parts of the name in a `from`, below the package. None if it lies elsewhere."""
        words = node.module.split(".") if node.module else []
        if node.level:
            return [*name.split(".")[: -node.level], *words]
        return words[1:] if words[:1] == [self.package] else None

    def _module(self, words: list[str]) -> str:
        """Return the longest module that the words name. A public name belongs to the package's face."""
        for end in range(len(words), 0, -1):
            for name in (".".join(words[:end]), ".".join([*words[:end], "__init__"])):
                if name in self.modules:
                    return name
        return FACE

    def rooms(self, inside: str = "") -> dict[str, set[str]]:
        """Return the rooms at the top, or inside a folder, with the rooms that each imports."""
        found: dict[str, set[str]] = {}
        for module, others in self.imports.items():
            if (own := _room(module, inside)) is not None:
                there = {room for other in others if (room := _room(other, inside)) is not None}
                found.setdefault(own, set()).update(there - {own})
        return found

    def back_up(self, order: tuple[tuple[str, ...], ...], inside: str = "") -> list[str]:
        """Return the arrows that go up, as `file imports module`."""
        level = {room: i for i, rooms in enumerate(order) for room in rooms}
        wrong = []
        for module, others in self.imports.items():
            own = _room(module, inside)
            for other in sorted(others):
                there = _room(other, inside)
                if own in level and there in level and level[there] > level[own]:
                    wrong.append(f"{module} imports {other}")
        return wrong

    def folders(self) -> dict[str, int]:
        """Count the files of every folder."""
        return dict(Counter(str(path.parent.relative_to(self.root)) for path in self.modules.values()))

    def nested(self) -> list[str]:
        """Return the folders that have modules, by dotted name; '' is the package."""
        return sorted({module.rpartition(".")[0] for module in self.modules})


def _room(module: str, inside: str) -> str | None:
    """Return the room, inside a folder, of a module. None if the module lies elsewhere, or is the folder's face."""
    prefix = f"{inside}." if inside else ""
    if not module.startswith(prefix):
        return None
    room = module.removeprefix(prefix).partition(".")[0]
    return None if inside and room == "__init__" else room


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the sets of nodes that reach each other (Tarjan 1972, by reachability: the graphs are small)."""
    reached = {node: _reachable(node, arrows) for node in arrows}
    found = {
        tuple(sorted(other for other in reached[n] if n in reached.get(other, ()))) for n in arrows if n in reached[n]
    }
    return [list(circle) for circle in sorted(found)]


def _reachable(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(arrows.get(start, ()))
    while waiting:
        if (node := waiting.pop()) not in seen:
            seen.add(node)
            waiting += arrows.get(node, ())
    return seen


def report(house: House) -> str:
    """Describe the tree as text."""
    rooms = {room: there - {FACE} for room, there in house.rooms().items() if room != FACE}
    lines = [
        f"rooms at the top: {len(rooms)}",
        f"arrows between them: {sum(map(len, rooms.values()))}",
        f"arrows that run back up: {len(house.back_up(ORDER))}",
        f"circles at the top: {circles(rooms)}",
    ]
    for inside, order in WITHIN.items():
        inner = house.rooms(inside)
        arrows, wrong = sum(map(len, inner.values())), len(house.back_up(order, inside))
        lines.append(f"{inside}: {len(inner)} rooms, {arrows} arrows, {wrong} back up, circles {circles(inner)}")
    lines.append(f"circles among files: {circles(_without_face(house))}")
    lines += [f"{count:4} {folder}" for folder, count in sorted(house.folders().items())]
    return "\n".join(lines)


def _without_face(house: House) -> dict[str, set[str]]:
    return {name: others - {FACE} for name, others in house.imports.items() if name != FACE}


if __name__ == "__main__":
    print(report(House(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)))
