"""Arrows point one way, folders stay small, and methods use the public names only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lthbench
from tests.architecture import FACE, LARGE, MOST, ORDER, ROOT, WITHIN, House, circles, report

HOUSE = House(ROOT)


def test_every_room_has_a_level() -> None:
    assert set(HOUSE.rooms()) == {room for rooms in ORDER for room in rooms}
    for inside, order in WITHIN.items():
        assert set(HOUSE.rooms(inside)) == {room for rooms in order for room in rooms}


def test_no_arrow_runs_back_up() -> None:
    assert HOUSE.back_up(ORDER) == []
    for inside, order in WITHIN.items():
        assert HOUSE.back_up(order, inside) == []


def test_there_is_no_circle() -> None:
    files = {name: others - {FACE} for name, others in HOUSE.imports.items() if name != FACE}
    assert circles(files) == []
    for inside in HOUSE.nested():
        arrows = HOUSE.rooms(inside)
        assert circles({room: there - {FACE} for room, there in arrows.items() if room != FACE}) == [], inside


def test_folders_stay_small() -> None:
    large = {folder: n for folder, n in HOUSE.folders().items() if n > MOST and Path(folder).name not in LARGE}
    assert large == {}


@pytest.mark.parametrize(
    "line",
    [
        "import lthbench.board.page",
        "from lthbench import board",
        "from lthbench.board import page",
        "from ..board import page",
        "if TYPE_CHECKING:\n    from lthbench.board.page import page",
        "def f():\n    from lthbench.board.page import page",
        "def f():\n    import_module('lthbench.board.page')",
    ],
)
def test_an_arrow_against_the_order_is_seen(tmp_path: Path, line: str) -> None:
    house = _copied(tmp_path, "training/step.py", line)
    assert [found.partition(" imports ")[0] for found in house.back_up(ORDER)] == ["training.step"]


def test_a_public_name_is_an_arrow_to_its_face(tmp_path: Path) -> None:
    house = _copied(tmp_path, "training/step.py", "from lthbench import Run")
    assert house.back_up(ORDER) == ["training.step imports __init__"]


def test_a_circle_inside_a_room_is_seen(tmp_path: Path) -> None:
    house = _copied(tmp_path, "runs/store/files.py", "def f():\n    from lthbench.runs.store.maintenance import clean")
    inner = circles(house.rooms("runs.store"))
    assert inner and "files" in inner[0] and "maintenance" in inner[0]
    assert "'runs.store.files'" in report(house)


def _copied(folder: Path, file: str, line: str) -> House:
    """The house with a line added to a file."""
    for name, path in HOUSE.modules.items():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text() + (f"\n{line}\n" if str(path).endswith(f"lthbench/{file}") else ""))
        assert name
    return House(folder)


def test_keys_import_nothing_of_lthbench() -> None:
    assert not HOUSE.imports["keys"]


def test_contributing_draws_the_same_order() -> None:
    """The picture of the arrows in CONTRIBUTING has a line for each level, highest first."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    picture = text[text.index("<!-- arrows -->") : text.index("<!-- end -->")]
    lines = [
        line.split("(")[0].replace("↓", "").split() for line in picture.splitlines() if line.strip().startswith("↓")
    ]
    drawn = [{word.rstrip(",") for word in line} for line in lines]
    assert drawn == [{room for room in rooms if not room.startswith("_")} - {"__init__"} for rooms in reversed(ORDER)]


@pytest.mark.parametrize("path", sorted((ROOT / "baselines").glob("*.py")), ids=lambda p: p.name)
def test_baselines_use_public_names_and_fit_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    names = [alias.name for node in imports if node.module == "lthbench" for alias in node.names]
    assert set(names) <= set(lthbench.__all__)
    assert not [node.module for node in imports if str(node.module).startswith("lthbench.")]
    assert "Cost:" in (ast.get_docstring(tree) or "")
    assert len(path.read_text().splitlines()) <= 60


def test_public_names_exist() -> None:
    assert all(hasattr(lthbench, name) for name in lthbench.__all__)


def test_a_method_loads_only_what_it_uses() -> None:
    """Results, tables and boards take nearly as long to load as torch, and a method needs none of them."""
    code = "import sys; from lthbench.methods import registry; registry.load_all(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "lthbench.methods.run" in loaded
    assert not {"pandas", "scipy", "altair", "lthbench.board"} & set(loaded)


def test_a_renamed_name_still_works_and_says_once_what_to_write() -> None:
    from lthbench import _renamed

    for old, new in _renamed.PACKAGE.items():
        _renamed._said.discard(old)
        with pytest.warns(FutureWarning, match=new):
            assert getattr(lthbench, old) is getattr(lthbench, new)
        assert getattr(lthbench, old) is getattr(
            lthbench, new
        )  # warnings are errors here: the second time says nothing
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = lthbench.nothing_like_it
