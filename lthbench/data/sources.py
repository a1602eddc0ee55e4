"""Data sets that ship with a library, or with a package under the entry point `lthbench.datasets`: functions by name.

Each returns its splits, `{"train": Examples, "test": Examples}`, and the number of classes.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import torch

from lthbench.data.packed.examples import Examples
from lthbench.data.split import holdout
from lthbench.errors import InputError

GROUP = "lthbench.datasets"
Splits = tuple[dict[str, Examples], int]


def digits() -> Splits:
    """Return the 1,797 handwritten 8x8 digits of scikit-learn; 500 of them, stratified and fixed, are the test split.

    Their pixels are 0…16 and stay so. E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).to(torch.uint8)[..., None]
    every = Examples(images, torch.from_numpy(bunch.target).to(torch.int64))
    train, test = holdout(every.labels, 500, salt="digits/test")
    return {"train": every[train], "test": every[test]}, 10


def _offered(point: EntryPoint) -> Callable[[], Splits]:
    """Return what makes the data set of an installed package. The package is imported when the data set is packed."""

    def splits() -> Splits:
        try:
            made: Splits = point.load()()
        except Exception as error:  # of anybody's package
            raise InputError(f"data set {point.name!r} of {point.value}: {type(error).__name__}: {error}") from error
        return made

    return splits


EMBEDDED: dict[str, Callable[[], Splits]] = {point.name: _offered(point) for point in entry_points(group=GROUP)}
EMBEDDED |= {"digits": digits}
