"""Data sets that ship with a library: a dictionary from a name to the function that makes its splits."""

from collections.abc import Callable

import torch

from lthbench.data.packed.examples import Examples
from lthbench.data.split import holdout

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


EMBEDDED: dict[str, Callable[[], Splits]] = {"digits": digits}
