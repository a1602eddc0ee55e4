"""`store merge`: whatever the two folders have to do with each other, no entry and no line of a trace is lost."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lthbench.cli import main
from lthbench.errors import InputError
from lthbench.runs.store.maintenance import merge, move
from lthbench.runs.store.store import Store, Trace

ENVIRONMENT = "e" * 32
KEYS = st.sets(st.sampled_from("abcdef"))
PLACES = st.sampled_from(["a", "b", "a/inner", ".", "a/store/x", "link", "new"])


def fill(run: Path, keys: set[str]) -> None:
    store = Store(run / "store", ENVIRONMENT)
    store.root.mkdir(parents=True, exist_ok=True)
    for key in keys:
        store.write("values", key, {"t": torch.tensor([ord(key)])})
        Trace(store, key).ask(0, key)


def held(folder: Path) -> set[str]:
    """Every whole entry and trace anywhere under a folder, by name."""
    found = {path.name for path in folder.rglob("*.safetensors")} | {path.name for path in folder.rglob("*.jsonl")}
    for store in {path.parent.parent for path in folder.rglob("*.safetensors")}:
        for path in (store / "values").glob("*.safetensors"):
            Store(store.parent, store.name).read("values", path.stem)
    return found


@given(a=KEYS, b=KEYS, inner=KEYS, source=PLACES, into=PLACES, moving=st.booleans())
def test_no_entry_is_lost_whatever_lies_in_what(
    tmp_path_factory: pytest.TempPathFactory,
    a: set[str], b: set[str], inner: set[str], source: str, into: str, moving: bool,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("merge")
    for name, keys in {"a": a, "b": b, "a/inner": inner, "a/store/x": inner}.items():
        fill(folder / name, keys)
    (folder / "link").symlink_to(folder / "a")
    before = held(folder)
    with suppress(InputError):
        (move if moving else merge)(folder / source, folder / into)
    assert held(folder) == before
    shutil.rmtree(folder)


@pytest.mark.parametrize("into", ["runs/a", "runs/link"])
def test_into_one_of_several_sources_leaves_it_alone_and_takes_the_others(tmp_path: Path, into: str) -> None:
    fill(tmp_path / "runs/a", {"a"})
    fill(tmp_path / "runs/b", {"b"})
    (tmp_path / "runs/link").symlink_to(tmp_path / "runs/a")
    ended = CliRunner().invoke(main, ["store", "merge", str(tmp_path / "runs"), str(tmp_path / into), "--move"])
    assert (ended.exit_code, ended.output.split(" copied")[0]) == (0, "1 entries")
    assert held(tmp_path / "runs/a") == {f"{key}.{kind}" for key in "ab" for kind in ("safetensors", "jsonl")}
    assert not (tmp_path / "runs/b/store").exists()


@pytest.mark.parametrize("into", ["a", "link", "a/store/x"])
def test_a_store_is_not_merged_into_itself(tmp_path: Path, into: str) -> None:
    fill(tmp_path / "a", {"a"})
    (tmp_path / "link").symlink_to(tmp_path / "a")
    ended = CliRunner().invoke(main, ["store", "merge", str(tmp_path / "a"), str(tmp_path / into), "--move"])
    assert (ended.exit_code, ended.output.count("\n")) == (2, 1)
    assert len(held(tmp_path / "a")) == 2


def test_a_damaged_entry_is_replaced_before_the_whole_one_goes(tmp_path: Path) -> None:
    fill(tmp_path / "a", {"a"})
    fill(tmp_path / "b", {"a"})
    damaged = Store(tmp_path / "b/store", ENVIRONMENT).path("values", "a")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert move(tmp_path / "a", tmp_path / "b") == (1, 0)
    assert Store(tmp_path / "b/store", ENVIRONMENT).read("values", "a")[0]["t"].tolist() == [ord("a")]


def test_a_link_to_the_target_inside_a_source_is_not_emptied(tmp_path: Path) -> None:
    fill(tmp_path / "a", {"a"})
    (tmp_path / "b/store").mkdir(parents=True)
    (tmp_path / "b/store" / ENVIRONMENT).symlink_to(tmp_path / "a/store" / ENVIRONMENT)
    move(tmp_path / "b", tmp_path / "a")
    assert len(held(tmp_path / "a")) == 2


def test_a_longer_trace_replaces_its_beginning(tmp_path: Path) -> None:
    for run, asked in {"a": 3, "b": 1}.items():
        store = Store(tmp_path / run / "store", ENVIRONMENT)
        store.root.mkdir(parents=True)
        trace = Trace(store, "t")
        for index in range(asked):
            trace.ask(index, str(index))
    move(tmp_path / "a", tmp_path / "b")
    assert Trace(Store(tmp_path / "b/store", ENVIRONMENT), "t").asked == ["0", "1", "2"]


def test_tensors_that_share_memory_are_kept(tmp_path: Path) -> None:
    one = torch.arange(4.0)
    store = Store(tmp_path, ENVIRONMENT)
    store.write("finals", "f", {"values/w": one, "start/w": one, "part": one[:2]})
    assert {n: t.tolist() for n, t in store.read("finals", "f")[0].items()} == {
        "values/w": [0, 1, 2, 3], "start/w": [0, 1, 2, 3], "part": [0, 1],
    }  # fmt: skip
