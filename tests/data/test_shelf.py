"""`lthbench data list` and `remove`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lthbench.cli import main
from lthbench.data import Manifest
from lthbench.data.add import add
from tests.data.drawn import data, dies_at, folder, refused
from tests.processes import forked, status_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    add(tmp_path / "home", "mine", folder(tmp_path / "images"))
    return tmp_path / "home"


def rows(home: Path) -> dict[str, dict[str, Any]]:
    return {row["data set"]: row for row in json.loads(data("list", "--json", "--data", home).output)}


def test_list_shows_what_is_ready_and_what_to_type(home: Path) -> None:
    found = rows(home)
    assert found["mine"] == {
        "data set": "mine", "state": "ready", "height x width x channels": "6x8x3", "classes": 3, "train": 15, "test": 9,
        "disk": found["mine"]["disk"],
    }  # fmt: skip
    assert found["mine"]["disk"].endswith("kB")
    assert found["digits"]["state"] == "packed when it is first used"
    assert found["svhn"]["state"] == "lthbench data get svhn"
    assert found["imagenet"]["state"] == "lthbench data add imagenet PATH --size 224 --encoded"
    assert found["cifar10-jpeg-16"]["state"] == "lthbench data add cifar10-jpeg-16 PATH --size 16"


def test_both_lists_are_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTHBENCH_DATA", str(home))
    assert data("list").output == CliRunner().invoke(main, ["list", "data"]).output


def test_a_home_that_is_not_there_lists_what_could_be(tmp_path: Path) -> None:
    assert "ready" not in [row["state"] for row in rows(tmp_path / "none").values()]
    assert not (tmp_path / "none").exists()


def test_a_damaged_data_set_says_what_to_type(home: Path) -> None:
    (home / "mine/manifest.json").write_text("{")
    assert rows(home)["mine"]["state"] == "damaged: lthbench data remove mine"
    assert data("remove", "mine", "--data", home).exit_code == 0
    assert "mine" not in rows(home)


def test_digits_are_got_without_a_network(data_folder: Path) -> None:
    assert "digits is ready" in data("get", "digits", "--data", data_folder).output
    assert rows(data_folder)["digits"]["train"] == 1297


def test_an_unknown_name_is_not_got(home: Path) -> None:
    assert "Did you mean 'cifar10'?" in refused("get", "cifar-10", "--data", home)


def test_getting_what_was_added_says_that_it_is_ready(home: Path) -> None:
    assert "mine is ready" in data("get", "mine", "--data", home).output


def test_remove_takes_the_data_set_alone(home: Path, tmp_path: Path) -> None:
    done = data("remove", "mine", "--data", home)
    assert done.exit_code == 0 and "kB freed" in done.output
    assert list(home.iterdir()) == []
    assert len(list((tmp_path / "images").rglob("*.png"))) == 24


@pytest.mark.parametrize("name", ["mines", "../images", "images", ".", "", "raw"])
def test_nothing_but_a_packed_data_set_is_removed(home: Path, tmp_path: Path, name: str) -> None:
    folder(home / "images")
    assert "There is no packed data set" in refused("remove", name, "--raw", "--data", home)
    assert len(list((home / "images").rglob("*.png"))) == 24
    assert Manifest.read(home / "mine").sizes["train"] == 15


def test_a_kill_while_removing_leaves_nothing_that_counts(home: Path, tmp_path: Path) -> None:
    import shutil

    from lthbench.data.overview import remove

    assert status_of(forked(lambda: (dies_at(shutil, "rmtree", 0), remove(home, "mine")))) == -9
    assert "mine" not in rows(home)
    add(home, "mine", tmp_path / "images")
    assert [path.name for path in home.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "words", [(), ("--help",), ("add", "--help"), ("get", "--help"), ("remove", "-h"), ("list", "-h")]
)
def test_help_shows_examples(words: tuple[str, ...]) -> None:
    done = data(*words)
    assert "Usage" in done.output and "Traceback" not in done.output


def test_an_unknown_command_has_a_suggestion() -> None:
    done = data("lst")
    assert done.exit_code == 2 and "Did you mean 'list'?" in done.output
