"""`lthbench data add`: the right pixels under the right labels, whole or not at all."""

import errno
import json
import os
import resource
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lthbench.data import DataHome, Manifest, writers
from lthbench.data.add import add
from lthbench.data.images.folder import read
from lthbench.data.packed import arrays, packing
from lthbench.data.packed.arrays import ArrayFile
from lthbench.errors import InputError
from tests.data.drawn import CLASSES, data, dies_at, draw, folder, pixels, refused
from tests.processes import forked, status_of

BOTH = frozenset({"train", "test"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "images")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def nothing_else(home: Path) -> list[str]:
    """Everything in a home, hidden or not."""
    return sorted(path.name for path in home.iterdir()) if home.exists() else []


def test_pixels_and_labels_are_those_of_the_files(root: Path, home: Path) -> None:
    manifest = add(home, "mine", root)
    loaded = DataHome(home, BOTH)
    for split, each in (("train", 5), ("test", 3)):
        found = loaded.load("mine", split)
        drawn = [pixels(1000 * label + 2 * n + (split == "train")) for label in range(3) for n in range(each)]
        assert np.array_equal(found.images.numpy(), np.stack(drawn))
        assert found.labels.tolist() == [label for label in range(3) for _ in range(each)]
        assert found.fingerprint == manifest.fingerprints[split]


def test_the_manifest_says_what_it_is(root: Path, home: Path) -> None:
    draw(root / "train/eel/more.png", 77)
    manifest = add(home, "mine", root)
    assert (manifest.name, manifest.classes, manifest.names) == ("mine", 3, CLASSES)
    assert (manifest.shape, manifest.sizes) == ((3, 6, 8), {"train": 16, "test": 9})
    assert manifest.counts == {"train": (5, 5, 6), "test": (3, 3, 3)}
    images = DataHome(home).load("mine", "train").images.double().numpy()
    assert manifest.mean == pytest.approx(images.mean((0, 1, 2)))
    assert manifest.std == pytest.approx(images.std((0, 1, 2)))
    assert Manifest.read(home / "mine") == manifest


def test_a_manifest_of_an_earlier_or_later_version_is_read(root: Path, home: Path) -> None:
    manifest = add(home, "mine", root)
    path = home / "mine/manifest.json"
    fields = json.loads(path.read_text())
    old = {name: value for name, value in fields.items() if name not in ("names", "counts", "source", "skipped")}
    path.write_text(json.dumps(old))
    assert Manifest.read(home / "mine").fingerprints == manifest.fingerprints
    assert Manifest.read(home / "mine").names == ()
    path.write_text(json.dumps(fields | {"licence": "of a later version"}))
    assert Manifest.read(home / "mine") == manifest


def test_the_size_of_the_pieces_changes_no_bit(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path / "one", "mine", root)
    monkeypatch.setattr(arrays, "PIECE", 300)
    add(tmp_path / "many", "mine", root)
    for path in (tmp_path / "one/mine").iterdir():
        assert path.read_bytes() == (tmp_path / "many/mine" / path.name).read_bytes()


def test_memory_holds_a_piece_at_a_time(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "PIECE", 300)
    append, lengths = ArrayFile.append, []
    monkeypatch.setattr(ArrayFile, "append", lambda file, items: (lengths.append(len(items)), append(file, items)))
    add(home, "mine", root)
    assert max(lengths) == 300 // (6 * 8 * 3)


def test_large_images_are_decoded_in_threads_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "images", train=2, test=1, size=(140, 130))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    threaded = add(tmp_path / "threads", "mine", root)
    monkeypatch.setattr("lthbench.data.images.survey.THREADED", 10**9)
    assert add(tmp_path / "none", "mine", root) == threaded


def test_a_second_start_opens_no_image_and_writes_nothing(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add(home, "mine", root)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    monkeypatch.setattr(Image, "open", lambda *arguments: pytest.fail("opened an image"))
    assert add(home, "mine", root) == first
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_a_name_that_other_images_have_is_refused(root: Path, home: Path) -> None:
    add(home, "mine", root)
    assert "lthbench data remove mine" in refused("add", "mine", root, "--size", 4, "--data", home)
    draw(root / "train/cat/new.png", 5)
    assert "'mine' is packed already" in refused("add", "mine", root, "--data", home)
    assert Manifest.read(home / "mine").sizes["train"] == 15


def test_the_folder_of_the_images_itself_is_never_taken_for_a_data_set(root: Path) -> None:
    assert "is not a packed data set; take another name" in refused("add", root.name, root, "--data", root.parent)
    assert len(read(root).splits["train"]) == 15


@pytest.mark.parametrize(
    "name", ["../mine", "a/b", "", ".hidden", "raw", "cifar10", "digits", "-x y", "a" * 101, "a" * 300]
)
def test_a_name_that_cannot_be_one_is_refused(root: Path, home: Path, name: str) -> None:
    assert "take" in refused("add", "--data", home, "--", name, root)
    assert nothing_else(home) == []


def test_grey_images_make_a_grey_data_set(tmp_path: Path, home: Path) -> None:
    manifest = add(home, "mine", folder(tmp_path / "images", channels=1))
    assert (manifest.shape, len(manifest.mean)) == ((1, 6, 8), 1)
    first = DataHome(home).load("mine", "train").images[0, :, :, 0]
    assert np.array_equal(first.numpy(), pixels(1, channels=1))


@pytest.mark.parametrize(("channels", "shape"), [(3, (3, 6, 8)), (1, (1, 6, 8))])
def test_few_images_of_another_mode_follow_the_majority(
    root: Path, tmp_path: Path, home: Path, channels: int, shape: tuple[int, int, int]
) -> None:
    root = folder(tmp_path / "others", channels=channels)
    draw(root / "train/cat/000.png", 3, channels=4 - channels)
    draw(root / "test/dog/000.png", 4, channels=4 - channels)
    assert add(home, "mine", root).shape == shape


def test_images_of_several_sizes_need_a_size(root: Path, home: Path) -> None:
    draw(root / "train/dog/002.png", size=(9, 6))
    said = refused("add", "mine", root, "--data", home)
    assert "train/cat/000.png is 8x6, train/dog/002.png is 9x6" in said and "--size N" in said
    assert data("add", "mine", root, "--data", home, "--size", 5).exit_code == 0
    assert Manifest.read(home / "mine").shape == (3, 5, 5)


def test_a_test_image_of_another_size_is_named_too(root: Path, home: Path) -> None:
    draw(root / "test/dog/002.png", size=(8, 7))
    assert "test/dog/002.png is 8x7" in refused("add", "mine", root, "--data", home)
    assert nothing_else(home) == []


def test_what_is_passed_over_is_said(root: Path, home: Path) -> None:
    for number in range(2):
        shutil.move(root / f"train/cat/00{number}.png", root / f"train/cat/00{number}.webp")
    (root / "train/@eaDir").mkdir()
    done = data("add", "mine", root, "--data", home)
    assert "passed over, for only .jpg, .jpeg, .png are read: 2 .webp, 1 folder @eaDir\n" in done.output
    assert Manifest.read(home / "mine").passed_over == {".webp": 2, "@eaDir/": 1}


@pytest.mark.parametrize("where", ["train/dog/002.png", "test/eel/001.png", "train/cat/000.png"])
def test_a_corrupt_image_is_named_or_left_out(root: Path, home: Path, where: str) -> None:
    content = (root / where).read_bytes()
    (root / where).write_bytes(content[: len(content) // 2])
    assert f"{root / where} is corrupt" in refused("add", "mine", root, "--data", home)
    assert nothing_else(home) == []
    done = data("add", "mine", root, "--data", home, "--skip-corrupt")
    assert done.exit_code == 0 and "1 corrupt image is left out" in done.output
    manifest = Manifest.read(home / "mine")
    assert (sum(manifest.sizes.values()), manifest.skipped) == (23, 1)
    for split in manifest.sizes:
        loaded = DataHome(home, BOTH).load("mine", split)
        files = [file for file in read(root).splits[split] if file.path != where]
        assert loaded.labels.tolist() == [file.label for file in files]
        assert np.array_equal(loaded.images[-1].numpy(), np.asarray(Image.open(root / files[-1].path)))


def test_a_class_of_corrupt_images_alone_is_refused(root: Path, home: Path) -> None:
    for path in (root / "test/dog").iterdir():
        path.write_bytes(b"")
    said = refused("add", "mine", root, "--data", home, "--skip-corrupt")
    assert "every test image of class dog is corrupt" in said
    assert nothing_else(home) == []


def test_only_corrupt_images_are_refused(root: Path, home: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    assert "every one is corrupt" in refused("add", "mine", root, "--data", home, "--skip-corrupt")


def test_images_of_one_colour_are_refused(tmp_path: Path, home: Path) -> None:
    root = folder(tmp_path / "images")
    for path in root.rglob("*.png"):
        Image.new("RGB", (8, 6), "red").save(path)
    assert "one and the same colour" in refused("add", "mine", root, "--data", home)


@pytest.mark.parametrize("limit", [10, 1000, 2200])
def test_a_file_that_cannot_grow_is_one_line_and_leaves_nothing(root: Path, home: Path, limit: int) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises(InputError, match=f"cannot pack 'mine' into {home}: File too large"):
            add(home, "mine", root)

    assert status_of(forked(limited)) == 0
    assert nothing_else(home) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: ArrayFile, items: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArrayFile, "append", full)
    assert refused("add", "mine", root, "--data", home).endswith("No space left on device")
    assert nothing_else(home) == []


def test_too_little_room_is_said_before_any_image_is_decoded(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 3455))
    monkeypatch.setattr(ArrayFile, "__init__", lambda *arguments: pytest.fail("began to write"))
    assert "packing needs 3.46e-06 GB" in refused("add", "mine", root, "--data", home)
    assert nothing_else(home) == []


def test_a_home_below_a_file_is_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot pack 'mine' into" in refused("add", "mine", root, "--data", tmp_path / "file/home")


@pytest.mark.parametrize(
    ("where", "name", "call"),
    [(ArrayFile, "append", 0), (ArrayFile, "append", 4), (packing, "_sync_one", 0), (packing, "_sync_one", 5),
     (Path, "rename", 0)],
)  # fmt: skip
def test_a_kill_in_the_middle_leaves_nothing_that_counts_and_the_next_packing_cleans_up(
    root: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, call: int
) -> None:
    monkeypatch.setattr(arrays, "PIECE", 500)
    assert status_of(forked(lambda: (dies_at(where, name, call), add(home, "mine", root)))) == -signal.SIGKILL
    assert not (home / "mine").exists()
    stale = [name for name in nothing_else(home) if name != ".mine.lock"]
    assert len(stale) == 1 and stale[0].startswith(".mine.")
    assert "ready" not in [row["state"] for row in json.loads(data("list", "--json", "--data", home).output)]
    with pytest.raises(InputError):
        DataHome(home).manifest("mine")
    add(home, "mine", root)
    assert nothing_else(home) == ["mine"]
    assert add(tmp_path / "other", "mine", root) == Manifest.read(home / "mine")


def test_the_stale_folder_of_another_name_is_left_alone(root: Path, home: Path) -> None:
    for name in (".mine-too.12", ".mine.b.12", ".other.12", ".mine.txt"):
        (home / name).mkdir(parents=True)
    (home / ".mine.12").mkdir()
    add(home, "mine", root)
    assert nothing_else(home) == [".mine-too.12", ".mine.b.12", ".mine.txt", ".other.12", "mine"]


def test_two_at_once_pack_once(
    root: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append = ArrayFile.append

    def slowly(file: ArrayFile, items: Any) -> None:
        (tmp_path / "begun").touch()
        time.sleep(0.5)
        append(file, items)

    first = forked(lambda: (setattr(ArrayFile, "append", slowly), add(home, "mine", root)))
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    monkeypatch.setattr(ArrayFile, "append", lambda *arguments: pytest.fail("packed it again"))
    assert add(home, "mine", root).sizes["train"] == 15
    assert status_of(first) == 0
    assert "another process packs mine; waiting for it" in caplog.text
    assert nothing_else(home) == ["mine"]


def test_a_file_system_without_locks_packs_and_cleans_nothing(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*arguments: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(packing.system, "lock", unable)
    (home / ".mine.12").mkdir(parents=True)
    add(home, "mine", root)
    assert nothing_else(home) == [".mine.12", "mine"]


def test_packing_that_is_done_takes_no_time(root: Path, home: Path) -> None:
    add(home, "mine", root)
    started = time.perf_counter()
    add(home, "mine", root)
    assert time.perf_counter() - started < 0.5
