"""Small stand-ins for what torchvision downloads: real archives in the published formats, behind file:// addresses.

torchvision's own download, checksum, extraction and reading run on them.
"""

import gzip
import hashlib
import pickle
import struct
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as tv
from scipy.io import savemat

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


def drawn(shape: tuple[int, ...], classes: int) -> Arrays:
    """Random images [N, *shape] and labels of both splits, every class in both."""
    g = np.random.default_rng(0)
    counts = {"train": 3 * classes, "test": 2 * classes}
    return {s: (g.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % classes) for s, n in counts.items()}


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def cifar(shelf: Path, patch: pytest.MonkeyPatch, kind: type[tv.CIFAR10] = tv.CIFAR10, classes: int = 10) -> Arrays:
    """An archive of pickled batches, as cifar-10-python.tar.gz and cifar-100-python.tar.gz are."""
    made = drawn((32, 32, 3), classes)
    files = {split: {"data": images.transpose(0, 3, 1, 2).reshape(len(images), -1),
                     ("labels" if classes == 10 else "fine_labels"): labels.tolist()}
             for split, (images, labels) in made.items()}  # fmt: skip
    files["meta"] = {kind.meta["key"]: [f"class {n}" for n in range(classes)]}
    shelf.mkdir(parents=True, exist_ok=True)
    sums = {}
    with tarfile.open(shelf / kind.filename, "w:gz") as archive:
        for name, content in files.items():
            pickled = pickle.dumps(content)
            sums[name] = hashlib.md5(pickled).hexdigest()
            info = tarfile.TarInfo(f"{kind.base_folder}/{name}")
            info.size = len(pickled)
            archive.addfile(info, BytesIO(pickled))
    patch.setattr(kind, "url", (shelf / kind.filename).as_uri())
    patch.setattr(kind, "tgz_md5", md5(shelf / kind.filename))
    patch.setattr(kind, "train_list", [["train", sums["train"]]])
    patch.setattr(kind, "test_list", [["test", sums["test"]]])
    patch.setattr(kind, "meta", {"filename": "meta", "key": kind.meta["key"], "md5": sums["meta"]})
    return made


def cifar100(shelf: Path, patch: pytest.MonkeyPatch) -> Arrays:
    return cifar(shelf, patch, tv.CIFAR100, 100)


def mnist(shelf: Path, patch: pytest.MonkeyPatch, kind: type[tv.MNIST] = tv.MNIST) -> Arrays:
    """Four gzipped idx files: a magic number, the dimensions, the bytes."""
    made = drawn((28, 28), 10)
    shelf.mkdir(parents=True, exist_ok=True)
    resources = []
    for split, word in (("train", "train"), ("test", "t10k")):
        images, labels = made[split]
        for what, array in (("images-idx3", images), ("labels-idx1", labels.astype(np.uint8))):
            header = struct.pack(f">{1 + array.ndim}i", 0x800 + array.ndim, *array.shape)
            name = f"{word}-{what}-ubyte.gz"
            (shelf / name).write_bytes(gzip.compress(header + array.tobytes()))
            resources.append((name, md5(shelf / name)))
    patch.setattr(kind, "mirrors", [shelf.as_uri() + "/"])
    patch.setattr(kind, "resources", resources)
    return {split: (images[..., None], labels) for split, (images, labels) in made.items()}


def fashion_mnist(shelf: Path, patch: pytest.MonkeyPatch) -> Arrays:
    return mnist(shelf, patch, tv.FashionMNIST)


def svhn(shelf: Path, patch: pytest.MonkeyPatch) -> Arrays:
    """Two MATLAB files, in which the digit 0 has the label 10."""
    made = drawn((32, 32, 3), 10)
    shelf.mkdir(parents=True, exist_ok=True)
    splits = {}
    for split, (images, labels) in made.items():
        path = shelf / f"{split}_32x32.mat"
        savemat(path, {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)[:, None]})
        splits[split] = [path.as_uri(), path.name, md5(path)]
    patch.setattr(tv.SVHN, "split_list", splits)
    return made


SHELVES = {"cifar10": cifar, "cifar100": cifar100, "mnist": mnist, "fashion-mnist": fashion_mnist, "svhn": svhn}
