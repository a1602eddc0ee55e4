"""Fixed stratified splits: the labels alone decide which examples are held out, the same for every seed of a suite."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, tensor

from lthbench.errors import InputError


class Labelled(Protocol):
    """Anything with the number of its class."""

    @property
    def label(self) -> int: ...


T = TypeVar("T", bound=Labelled)


@dataclass(frozen=True)
class TestShare:
    """The share of every class that becomes the test split of an unsplit data set. `seed` chooses another draw."""

    share: float
    seed: int = 0

    __test__ = False  # for pytest, which takes the name for that of a class of tests

    def of(self, items: Sequence[T], names: Sequence[str]) -> dict[str, list[T]]:
        """Split items, whose order counts, into train and test. InputError where a class would be missing in one of them."""
        labels = tensor([item.label for item in items], dtype=torch.int64)
        split = dict(
            zip(("train", "test"), holdout(labels, round(self.share * len(items)), f"test/{self.seed}"), strict=True)
        )
        for part, index in split.items():
            there = set(labels[index].tolist())
            if lacking := [name for label, name in enumerate(names) if label not in there]:
                raise InputError(
                    f"--test-share {self.share:g} of {len(items)} images leaves class {lacking[0]} without a {part} image; "
                    "give another share, or more images of the class"
                )
        return {part: [items[i] for i in index.tolist()] for part, index in split.items()}


def holdout(labels: Tensor, count: int, salt: str = "validation") -> tuple[Tensor, Tensor]:
    """Return the indices (kept, held out), both ascending. `count` are held out, shared over the classes by largest remainder.

    Within a class a hash of (salt, index) orders the examples, which no library version can change.
    """
    if count > len(labels):
        raise InputError(f"{count} examples are to be held out, but there are only {len(labels)}; hold out fewer")
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(index)
    held: list[int] = []
    for label, share in _shares({c: len(m) for c, m in members.items()}, count).items():
        held += sorted(members[label], key=lambda i: hashlib.blake2b(f"{salt}/{i}".encode()).digest())[:share]
    out = set(held)
    kept = [i for i in range(len(labels)) if i not in out]
    return tensor(kept, dtype=torch.int64), tensor(sorted(held), dtype=torch.int64)


def _shares(sizes: dict[int, int], count: int) -> dict[int, int]:
    total = sum(sizes.values())
    exact = {c: count * n / total for c, n in sizes.items()}
    shares = {c: int(x) for c, x in exact.items()}
    by_remainder = sorted(exact, key=lambda c: (shares[c] - exact[c], c))
    for c in by_remainder[: count - sum(shares.values())]:
        shares[c] += 1
    return shares
