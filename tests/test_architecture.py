"""Arrows point one way, and methods use the public names only."""

import ast
from pathlib import Path

import pytest

import lthbench

ROOT = Path(__file__).parent.parent
LEVELS = [
    {"keys", "errors", "source", "budget"},
    {"models", "data"},
    {"pruning", "training"},
    {"suite", "registry", "at_init", "theory"},
    {"runs"},
    {"scoring", "bench"},
    {"board", "report", "submission", "console", "listing", "tensorboard", "watch"},
    {"commands"},
    {"cli"},
]
LEVEL = {part: i for i, level in enumerate(LEVELS) for part in level}


def imported(path: Path) -> list[str]:
    """Modules imported at the top of a file, not those for type checkers or inside functions."""
    found: list[str] = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "lthbench").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path) -> None:
    own = path.relative_to(ROOT / "lthbench").with_suffix("").parts[0]
    if own == "__init__":
        return
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "lthbench" and len(parts) > 1:
            assert LEVEL[parts[1]] <= LEVEL[own], f"{own} imports {module}"


def test_keys_import_nothing_of_lthbench() -> None:
    assert not [m for m in imported(ROOT / "lthbench/keys.py") if m.startswith("lthbench")]


@pytest.mark.parametrize("path", sorted((ROOT / "baselines").glob("*.py")), ids=lambda p: p.name)
def test_baselines_use_public_names_and_fit_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = [a.name for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "lthbench" for a in n.names]
    assert set(names) <= set(lthbench.__all__)
    assert not [m for m in imported(path) if m.startswith("lthbench.")]
    assert "Cost:" in (ast.get_docstring(tree) or "")
    assert len(path.read_text().splitlines()) <= 60


def test_public_names_exist() -> None:
    assert all(hasattr(lthbench, name) for name in lthbench.__all__)
