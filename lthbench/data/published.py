"""Published data sets: `lthbench data get NAME` downloads them with torchvision's code and checksums.

The files lie in `raw/NAME` beside the packed data sets. They are downloaded into `raw/.NAME`, which is renamed when both
splits could be read, so that `raw/NAME` is always whole.
"""

import http.client
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lthbench.data.packed.examples import Examples, Manifest, pack
from lthbench.data.packed.packing import alone
from lthbench.errors import InputError

ARCHIVES = (".gz", ".mat")  # torchvision compares the checksum of these before it uses them again
# What torchvision raises for no network, a wrong checksum, a cut-off archive, a truncated file. URLError is an OSError.
FAILURES = (RuntimeError, OSError, ValueError, EOFError, AssertionError, tarfile.TarError, zlib.error,
            http.client.HTTPException)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A class of torchvision.datasets, the arguments that name its two splits, and the bytes to download."""

    kind: str
    bytes: int
    train: Any = True
    test: Any = False
    word: str = "train"

    def read(self, root: Path, download: bool) -> tuple[dict[str, Examples], Sequence[str]]:
        """Read both splits and the names of the classes. Raises one of FAILURES."""
        import torchvision.datasets

        make = getattr(torchvision.datasets, self.kind)
        parts = {s: make(root, **{self.word: getattr(self, s)}, download=download) for s in ("train", "test")}
        names = getattr(parts["train"], "classes", tuple("0123456789"))
        return {split: _examples(part) for split, part in parts.items()}, names


PUBLISHED = {
    "cifar10": Published("CIFAR10", 170_498_071),  # Krizhevsky 2009
    "cifar100": Published("CIFAR100", 169_001_437),  # Krizhevsky 2009
    "svhn": Published("SVHN", 246_316_178, "train", "test", "split"),  # Netzer et al. 2011, without its extra images
    "mnist": Published("MNIST", 11_594_722),  # LeCun et al. 1998
    "fashion-mnist": Published("FashionMNIST", 30_878_645),  # Xiao et al. 2017
}


def get(home: Path, name: str) -> Manifest:
    """Pack one of PUBLISHED, unless it is packed already. Downloads it first, unless `raw/NAME` is there."""
    target = home / name
    if not target.exists():
        splits, names = _fetched(home / "raw" / name, name)
        pack(target, name, splits, len(names), names)
    return Manifest.read(target)


def _fetched(raw: Path, name: str) -> tuple[dict[str, Examples], Sequence[str]]:
    partial = raw.with_name(f".{name}")
    try:
        raw.parent.mkdir(parents=True, exist_ok=True)
        with alone(raw):
            if raw.exists():
                return PUBLISHED[name].read(raw, download=False)
            _keep_archives(partial)
            read = PUBLISHED[name].read(partial, download=True)
            partial.rename(raw)
            return read
    except FAILURES as error:
        why = " ".join(str(error).split()) or type(error).__name__
        if raw.exists():
            raise InputError(f"{raw} is damaged ({why}); type: lthbench data remove {name} --raw") from None
        raise InputError(f"{name!r} could not be downloaded ({why}); type the command again to go on") from None


def _keep_archives(partial: Path) -> None:
    """Remove what an interrupted download has unpacked: torchvision would take some of it for whole."""
    partial.mkdir(exist_ok=True)
    for path in partial.rglob("*"):
        if path.is_file() and path.suffix not in ARCHIVES:
            path.unlink()


def _examples(part: Any) -> Examples:
    """Return the examples of a split of torchvision.

    CIFAR has uint8 arrays [N, 32, 32, 3], SVHN has [N, 3, 32, 32], MNIST has tensors [N, 28, 28].
    """
    images, labels = (
        torch.as_tensor(part.data),
        torch.as_tensor(getattr(part, "targets", getattr(part, "labels", None))),
    )
    if images.ndim == 3:
        images = images[..., None]
    elif images.shape[1] in (1, 3) and images.shape[-1] not in (1, 3):
        images = images.permute(0, 2, 3, 1)
    return Examples(images.contiguous(), labels.to(torch.int64))
