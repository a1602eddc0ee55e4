"""Images of a user's own that are no split folder: a folder without splits, arrays, a Hugging Face data set."""

import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lthbench.data import DataHome, Manifest
from lthbench.data.images.source import Row
from lthbench.data.split import TestShare
from tests.data.drawn import CLASSES, data, draw, folder, pixels, refused

BOTH = frozenset({"train", "test"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def loaded(home: Path, name: str = "mine") -> dict[str, tuple[np.ndarray, list[int]]]:
    found = {split: DataHome(home, BOTH).load(name, split) for split in ("train", "test")}
    return {split: (examples.images.numpy(), examples.labels.tolist()) for split, examples in found.items()}


# ---- a folder without splits


@pytest.fixture
def unsplit(tmp_path: Path) -> Path:
    for label, name in enumerate(CLASSES):
        for number in range(10):
            draw(tmp_path / "images" / name / f"{number}.png", 100 * label + number)
    return tmp_path / "images"


def test_a_share_of_every_class_becomes_the_test_split(unsplit: Path, home: Path) -> None:
    assert data("add", "mine", unsplit, "--test-share", 0.2, "--data", home).exit_code == 0
    manifest, found = Manifest.read(home / "mine"), loaded(home)
    assert manifest.counts == {"train": (8, 8, 8), "test": (2, 2, 2)} and manifest.names == CLASSES
    seen = {images[i].tobytes(): label for images, labels in found.values() for i, label in enumerate(labels)}
    drawn = {pixels(100 * label + n).tobytes(): label for label in range(3) for n in range(10)}
    assert seen == drawn


def test_another_seed_is_another_split_and_the_same_seed_the_same(unsplit: Path, home: Path) -> None:
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        assert data("add", name, unsplit, "--test-share", 0.3, "--seed", seed, "--data", home).exit_code == 0
    prints = {name: Manifest.read(home / name).fingerprints["test"] for name in ("one", "again", "other")}
    assert prints["one"] == prints["again"] != prints["other"]
    assert "other files" in refused("add", "one", unsplit, "--test-share", 0.3, "--seed", 1, "--data", home)


@given(st.lists(st.integers(4, 30), min_size=2, max_size=5), st.floats(0.25, 0.7), st.integers(0, 5))
def test_the_split_is_stratified(sizes: list[int], share: float, seed: int) -> None:
    items = [Row("", label, "", 0) for label, size in enumerate(sizes) for _ in range(size)]
    split = TestShare(share, seed).of(items, [str(label) for label in range(len(sizes))])
    counts = Counter(row.label for row in split["test"])
    assert all(abs(counts[label] - share * size) <= 1 for label, size in enumerate(sizes))
    assert len(split["test"]) == round(share * len(items)) and len(split["train"]) + len(split["test"]) == len(items)


def test_what_a_share_cannot_do_is_one_line(unsplit: Path, home: Path, tmp_path: Path) -> None:
    assert "--test-share 0.2" in refused("add", "mine", unsplit, "--data", home)
    split = folder(tmp_path / "split")
    assert "leave --test-share out" in refused("add", "mine", split, "--test-share", 0.2, "--data", home)
    for path in (unsplit / "cat").iterdir():
        if path.name != "0.png":
            path.unlink()
    assert "leaves class cat without a test image" in refused(
        "add", "mine", unsplit, "--test-share", 0.2, "--data", home
    )
    for share in (0, 1, 1.5):
        assert data("add", "mine", unsplit, "--test-share", share, "--data", home).exit_code == 2


# ---- arrays


def arrays(kind: str, channels: int = 3, first: bool = False) -> dict[str, np.ndarray]:
    """Random images and labels under the names of Keras or MedMNIST."""
    g = np.random.default_rng(0)
    shape = {1: (6, 8), 3: (3, 6, 8) if first else (6, 8, 3)}[channels]
    found = {}
    for split, each in (("train", 4), ("test", 2)):
        images, labels = f"x_{split}", f"y_{split}"
        if kind == "medmnist":
            images, labels = f"{split}_images", f"{split}_labels"
        found[images] = g.integers(0, 256, (3 * each, *shape), dtype=np.uint8)
        found[labels] = np.arange(3 * each, dtype=np.uint8 if kind == "keras" else np.int64) % 3
    return found


@pytest.mark.parametrize("kind", ["keras", "medmnist"])
@pytest.mark.parametrize(("channels", "first"), [(3, False), (3, True), (1, False)])
def test_arrays_are_packed_as_they_are(tmp_path: Path, home: Path, kind: str, channels: int, first: bool) -> None:
    made = arrays(kind, channels, first)
    np.savez(tmp_path / "a.npz", **made)
    assert data("add", "mine", tmp_path / "a.npz", "--data", home).exit_code == 0
    for (images, labels), (wanted, numbers) in zip(
        loaded(home).values(), zip(*[iter(made.values())] * 2, strict=True), strict=True
    ):
        wanted = np.moveaxis(wanted, 1, -1) if first else wanted
        assert np.array_equal(images, wanted.reshape(images.shape)) and labels == numbers.tolist()


def test_arrays_without_a_split_and_of_another_size(tmp_path: Path, home: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 8), dtype=np.uint8)
    np.savez_compressed(tmp_path / "a.npz", images=images, labels=np.arange(20)[:, None] % 2)
    assert "type --test-share 0.2" in refused("add", "mine", tmp_path / "a.npz", "--data", home)
    words = ("add", "mine", tmp_path / "a.npz", "--test-share", 0.25, "--size", 4, "--data", home)
    assert data(*words).exit_code == 0
    manifest = Manifest.read(home / "mine")
    assert (manifest.shape, manifest.sizes) == ((1, 4, 4), {"train": 15, "test": 5})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"x_train": np.zeros((12, 6, 8, 3))}, "x_train is float64"),
        ({"x_train": np.zeros((12, 6, 8, 4), np.uint8)}, r"x_train is uint8 \[12, 6, 8, 4\]"),
        ({"y_train": np.zeros(11, np.int64)}, "labels are 12 whole numbers"),
        ({"y_train": np.arange(12) % 3 + 1}, "they are 0, 1, … without gaps"),
        ({"y_train": np.zeros(12, np.int64)}, "two or more"),
        ({"y_test": np.arange(6) % 2}, r"the test labels lack \[2\]"),
        ({"y_train": np.array(["a"] * 12, object)}, "Object arrays cannot be loaded"),
        ({"x_test": None}, "what is needed: x_train, y_train, x_test, y_test or"),
    ],
)
def test_arrays_that_are_no_data_set_are_one_line(tmp_path: Path, home: Path, change: dict, why: str) -> None:
    made = {name: array for name, array in (arrays("keras") | change).items() if array is not None}
    np.savez(tmp_path / "a.npz", **made)
    assert re.search(why, refused("add", "mine", tmp_path / "a.npz", "--data", home))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 not an archive", None])
def test_a_damaged_file_of_arrays_is_one_line(tmp_path: Path, home: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    assert f"cannot read {tmp_path / 'a.npz'}" in refused("add", "mine", tmp_path / "a.npz", "--data", home)


def test_arrays_have_no_files_to_pack(tmp_path: Path, home: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays("keras"))
    words = ("add", "mine", tmp_path / "a.npz", "--size", 4, "--encoded", "--data", home)
    assert "leave --encoded out" in refused(*words)


# ---- Hugging Face


def table(count: int, seed: int):  # type: ignore[no-untyped-def]
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "picture": datasets.Image(),
            "kind": datasets.ClassLabel(names=list(CLASSES)),
        }
    )
    rows = {
        "text": ["x"] * count,
        "picture": [Image.fromarray(pixels(seed + n)) for n in range(count)],
        "kind": [n % 3 for n in range(count)],
    }
    return datasets.Dataset.from_dict(rows, features=features)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and nothing in the home folder."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def test_a_saved_data_set_is_packed_by_its_features(tmp_path: Path, home: Path, hub: None) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.DatasetDict({"train": table(9, 0), "validation": table(6, 100)}).save_to_disk(str(tmp_path / "saved"))
    done = data("add", "mine", tmp_path / "saved", "--data", home)
    assert done.exit_code == 0, done.output
    assert Manifest.read(home / "mine").names == CLASSES
    found = loaded(home)
    for split, seed in (("train", 0), ("test", 100)):
        images, labels = found[split]
        assert np.array_equal(images, np.stack([pixels(seed + n) for n in range(len(labels))]))
        assert labels == [n % 3 for n in range(len(labels))]


def test_a_table_without_splits_takes_a_share(tmp_path: Path, home: Path, hub: None) -> None:
    table(15, 0).save_to_disk(str(tmp_path / "saved"))
    assert "type --test-share 0.2" in refused("add", "mine", tmp_path / "saved", "--data", home)
    assert data("add", "mine", tmp_path / "saved", "--test-share", 0.2, "--data", home).exit_code == 0
    assert Manifest.read(home / "mine").counts == {"train": (4, 4, 4), "test": (1, 1, 1)}


def test_a_name_of_the_hub_is_packed_by_its_name(home: Path, hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(name: str):  # type: ignore[no-untyped-def]
        asked.append(name)
        return datasets.DatasetDict({"train": table(6, 0), "test": table(6, 50)})

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert data("add", "mine", "hf:someone/pets", "--data", home).exit_code == 0
    assert asked == ["someone/pets"] and Manifest.read(home / "mine").sizes == {"train": 6, "test": 6}


def test_offline_it_says_what_to_do(home: Path, hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def unreachable(name: str) -> None:
        raise ConnectionError("Couldn't reach the hub\nmany more lines")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    said = refused("add", "mine", "hf:someone/pets", "--data", home)
    assert (
        "Couldn't reach the hub" in said
        and "save_to_disk('FOLDER')" in said
        and "lthbench data add NAME FOLDER" in said
    )


def test_without_the_library_it_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install 'lthbench[hf]'" in refused("add", "mine", "hf:someone/pets", "--data", home)


def test_a_table_of_other_columns_is_one_line(tmp_path: Path, home: Path, hub: None) -> None:
    table(6, 0).remove_columns("kind").save_to_disk(str(tmp_path / "saved"))
    said = refused("add", "mine", tmp_path / "saved", "--test-share", 0.2, "--data", home)
    assert "has the columns text (Value), picture (Image); an Image and a ClassLabel are needed" in said
    (tmp_path / "saved/state.json").write_text("{")
    assert "save it again" in refused("add", "mine", tmp_path / "saved", "--test-share", 0.2, "--data", home)
