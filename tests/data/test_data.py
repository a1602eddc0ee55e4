"""Data sets: packed whole or not at all, read only where allowed, split the same everywhere."""

import errno
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lthbench import keys
from lthbench.data import DataHome, Manifest, default_folder, described, holdout, prepare
from lthbench.data.packed.examples import pack, unpack
from lthbench.errors import InputError
from tests.helpers import examples

FINGERPRINTS = {"train": "76b9f2b7c16e82c5d241145c3b7c10d8", "test": "c16cacf1551c03745724a121d62d8868"}
HELD_OUT = "8b7da83d6c9d7ce1cc6fa30a7ec0288e"  # the key of the indices of the 130 validation digits

KILLED = """
import os, signal, sys
import numpy as np
from lthbench.data import __main__ as packing
left = int(sys.argv[2])
save = np.save
def save_or_die(*arguments):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    save(*arguments)
np.save = save_or_die
packing.main("digits", sys.argv[1])
"""


@pytest.fixture
def packed(data_folder: Path, tmp_path: Path) -> Path:
    """A copy of the packed digits that a test may damage."""
    return Path(shutil.copytree(data_folder / "digits", tmp_path / "home" / "digits"))


def test_digits_are_what_they_were(data_home: DataHome) -> None:
    manifest = data_home.manifest("digits")
    assert manifest.sizes == {"train": 1297, "test": 500}
    assert manifest.fingerprints == FINGERPRINTS
    assert (manifest.classes, manifest.shape) == (10, (1, 8, 8))


def test_digits_are_read_as_their_manifest_says(data_home: DataHome) -> None:
    manifest = data_home.manifest("digits")
    for split, size in manifest.sizes.items():
        read = data_home.load("digits", split)
        assert read.images.shape == (size, 8, 8, 1)
        assert (read.images.dtype, read.labels.dtype) == (torch.uint8, torch.int64)
        assert read.fingerprint == manifest.fingerprints[split]
    pixels = data_home.load("digits", "train").images.double()
    assert manifest.mean == pytest.approx([pixels.mean().item()])
    assert manifest.std == pytest.approx([pixels.std(correction=0).item()])


def test_the_test_digits_are_stratified(data_home: DataHome) -> None:
    train, test = (data_home.load("digits", split).labels.bincount() for split in ("train", "test"))
    share = 500 * (train + test) / 1797
    assert ((test - share).abs() < 1).all()


def test_no_digit_is_in_both_splits_by_position(data_home: DataHome) -> None:
    from sklearn.datasets import load_digits

    every = Counter(image.astype(np.uint8).tobytes() for image in load_digits().images)
    ours = [data_home.load("digits", split).images.numpy() for split in ("train", "test")]
    assert Counter(image.tobytes() for images in ours for image in images) == every


def test_a_process_for_training_may_not_read_test_images(data_folder: Path) -> None:
    home = DataHome(data_folder, frozenset({"train"}))
    assert len(home.load("digits", "train")) == 1297
    with pytest.raises(PermissionError, match="test"):
        home.load("digits", "test")


def test_training_alone_is_the_default(data_folder: Path) -> None:
    with pytest.raises(PermissionError):
        DataHome(data_folder).load("digits", "test")


def test_the_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LTHBENCH_DATA", str(tmp_path))
    assert default_folder() == tmp_path
    assert DataHome().folder == tmp_path


def test_a_tilde_in_the_environment_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LTHBENCH_DATA", "~/x")
    assert default_folder() == tmp_path / "x"
    monkeypatch.setenv("LTHBENCH_DATA", "~nobody-of-this-name/x")
    with pytest.raises(InputError, match="LTHBENCH_DATA"):
        default_folder()


def test_a_packing_that_is_killed_leaves_nothing_that_counts_and_the_next_one_succeeds(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "3"], stderr=subprocess.DEVNULL)
    assert done.returncode == -9
    assert not (tmp_path / "digits").exists()
    with pytest.raises(InputError):
        DataHome(tmp_path).manifest("digits")
    assert prepare(DataHome(tmp_path), "digits").fingerprints == FINGERPRINTS


def test_packing_again_changes_nothing(packed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in packed.iterdir()}
    prepare(DataHome(packed.parent), "digits")
    assert {path: path.stat().st_mtime_ns for path in packed.iterdir()} == before


def test_who_packs_second_takes_what_is_there(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, save = tmp_path / "digits", np.save

    def save_while_another_finishes(*arguments: object) -> None:
        save(*arguments)
        if not target.exists():
            shutil.copytree(data_folder / "digits", target)

    monkeypatch.setattr(np, "save", save_while_another_finishes)
    assert pack(target, "digits", {"train": examples()}, 3).fingerprints == FINGERPRINTS
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_folder_without_manifest_is_no_data_set(packed: Path) -> None:
    (packed / "manifest.json").unlink()
    home = DataHome(packed.parent)
    for read in (
        lambda: home.manifest("digits"),
        lambda: home.load("digits", "train"),
        lambda: prepare(home, "digits"),
    ):
        with pytest.raises(InputError, match="digits"):
            read()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 1}', '{"shape": 1, "mean": [], "std": []}', "null", "3"]
)
def test_a_damaged_manifest_is_refused(packed: Path, text: str) -> None:
    (packed / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="digits"):
        Manifest.read(packed)


def test_another_format_is_refused(packed: Path) -> None:
    fields = json.loads((packed / "manifest.json").read_text())
    (packed / "manifest.json").write_text(json.dumps(fields | {"format": 99}))
    with pytest.raises(InputError, match="format 99"):
        Manifest.read(packed)


@pytest.mark.parametrize("file", ["train.images.npy", "train.labels.npy"])
@pytest.mark.parametrize("place", [-1, -1000])
def test_a_flipped_bit_of_the_content_is_seen(packed: Path, file: str, place: int) -> None:
    content = bytearray((packed / file).read_bytes())
    content[place] ^= 1
    (packed / file).write_bytes(content)
    with pytest.raises(InputError, match="remove the folder"):
        unpack(packed, "train")


@pytest.mark.parametrize(("file", "old", "new"), [("images", b"|u1", b"|i1"), ("labels", b"<i8", b"<u8")])
def test_a_changed_type_in_the_header_is_seen(packed: Path, file: str, old: bytes, new: bytes) -> None:
    path = packed / f"train.{file}.npy"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(InputError):
        unpack(packed, "train")


@pytest.mark.parametrize("size", [5, 127, 1000])
def test_a_cut_off_file_is_seen(packed: Path, size: int) -> None:
    path = packed / "train.images.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="remove the folder"):
        unpack(packed, "train")


def test_an_empty_file_is_seen(packed: Path) -> None:
    (packed / "train.images.npy").write_bytes(b"")
    with pytest.raises(InputError):
        unpack(packed, "train")


def test_a_file_that_is_gone_is_named(packed: Path) -> None:
    (packed / "train.labels.npy").unlink()
    with pytest.raises(InputError, match=r"train\.labels\.npy"):
        unpack(packed, "train")


@pytest.mark.parametrize("failing", [0, 3])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    save, calls = np.save, []

    def full(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) > failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments)

    monkeypatch.setattr(np, "save", full)
    splits = {"train": examples(), "test": examples(8, seed=1)}
    with pytest.raises(InputError, match="No space left on device"):
        pack(tmp_path / "random", "random", splits, 3)
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        prepare(DataHome(tmp_path / "file"), "digits")


def test_packing_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        pack(tmp_path / "file" / "random", "random", {"train": examples()}, 3)


def test_an_unknown_data_set_has_a_suggestion(data_folder: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'digits'"):
        prepare(DataHome(data_folder), "digts")


@pytest.mark.parametrize("name", ["a" * 300, "../digits", "/etc", "", "digits\n", ".digits"])
def test_what_cannot_be_a_name_is_one_line(data_folder: Path, name: str) -> None:
    for read in (prepare, described, DataHome.manifest):
        with pytest.raises(InputError, match="cannot be the name of a data set") as error:
            read(DataHome(data_folder), name)
        assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_packed_data_set_is_named_once_among_those_that_there_are(data_folder: Path) -> None:
    with pytest.raises(InputError) as error:
        prepare(DataHome(data_folder), "digts")
    assert str(error.value).count("digits") == 2  # did you mean, and the list


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6))
def test_the_majority_is_the_largest_class_where_it_stands_out(counts: list[int]) -> None:
    manifest = Manifest("m", len(counts), (1, 8, 8), (), (), {}, {}, counts={"test": tuple(counts)})
    even, share = sum(counts) / len(counts), manifest.majority()
    assert share == (max(counts) / sum(counts) if max(counts) > 1.1 * even * (1 + 1e-12) else None)


def test_balanced_and_uncounted_classes_have_no_majority(data_home: DataHome) -> None:
    digits = data_home.manifest("digits")
    assert digits.majority("train") is digits.majority("test") is replace(digits, counts={}).majority() is None


def test_the_fingerprint_is_of_images_labels_and_order() -> None:
    some = examples()
    other_image, other_label = examples(), examples()
    other_image.images[3, 1, 1, 0] ^= 1
    other_label.labels[3] = (other_label.labels[3] + 1) % 3
    backwards = some[torch.arange(len(some)).flip(0)]
    found = {e.fingerprint for e in (some, examples(), other_image, other_label, backwards)}
    assert len(found) == 4


def test_the_held_out_digits_are_what_they_were(data_home: DataHome) -> None:
    _, held = holdout(data_home.load("digits", "train").labels, 130)
    assert keys.key(held.tolist()) == HELD_OUT


labels = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(labels, st.data())
def test_a_holdout_is_a_stratified_split(found: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(found) - 1))
    kept, held = holdout(torch.tensor(found), count)
    assert len(held) == count
    assert sorted(kept.tolist() + held.tolist()) == list(range(len(found)))
    assert kept.tolist() == sorted(kept.tolist()) and held.tolist() == sorted(held.tolist())
    out = Counter(found[i] for i in held)
    for label, size in Counter(found).items():
        assert abs(out[label] - count * size / len(found)) < 1


@given(labels, st.data())
def test_a_holdout_is_a_function_of_labels_and_salt(found: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(found) - 1))
    once, twice = (holdout(torch.tensor(found), count)[1].tolist() for _ in range(2))
    assert once == twice


def test_another_salt_holds_out_others() -> None:
    ten = torch.arange(200) % 10
    assert holdout(ten, 50, "a")[1].tolist() != holdout(ten, 50, "b")[1].tolist()


def test_the_held_out_are_spread_over_the_file() -> None:
    held = holdout(torch.zeros(1000, dtype=torch.int64), 500)[1]
    assert 400 < (held < 500).sum() * 2 < 600


def test_holding_out_more_than_there_is_is_refused() -> None:
    with pytest.raises(InputError):
        holdout(torch.tensor([0, 1, 0, 1]), 5)


def test_holding_out_everything_leaves_an_index_of_none() -> None:
    kept, held = holdout(torch.tensor([0, 1, 0, 1]), 4)
    assert len(examples(4)[held]) == 4
    assert len(examples(4)[kept]) == 0
