"""Make `mlp-300-100-mnist.safetensors`: mlp-300-100 trained on MNIST at the size and the scale of the digits.

    python suites/starts/mnist_for_digits.py FOLDER       packed `mnist` in $LTHBENCH_DATA; half a minute on one core

Each image loses its frame of four pixels; the 20x20 pixels that are left are averaged over 8x8 fields, in 0…16.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from lthbench import load_ticket, run_suite
from lthbench.data import DataHome, Examples
from lthbench.data.packed.examples import pack
from lthbench.models.checkpoint import Checkpoint, write
from lthbench.suite import Suite

NAME = "mlp-300-100-mnist"
SUITE = {
    "name": "mnist-for-digits", "version": "0.1", "methods": ("dense",), "duels": (), "tickets": (), "seeds": 1,
    "workload": ({"model": "mlp-300-100", "dataset": "mnist8"},), "sparsities": (0.0,), "learning_rates": (0.1,),
    "budget": "none", "validation": 6000,
    "recipe": {"lr": 1.0, "epochs": 10, "batch": 128, "schedule": "cosine", "weight_decay": 1e-4},
}  # fmt: skip


def shrunk(images: Tensor) -> Tensor:
    """Return MNIST's images uint8 [N, 28, 28, 1] as those of the digits: uint8 [N, 8, 8, 1] in 0…16."""
    middle = images[:, 4:24, 4:24, 0].double()[:, None]
    return torch.nn.functional.adaptive_avg_pool2d(middle, 8).mul(16 / 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def main(folder: Path) -> None:
    """Pack the shrunken images, train, and write the checkpoint."""
    mnist, home = DataHome(splits=frozenset({"train", "test"})), DataHome(folder / "data")
    parts = {split: mnist.load("mnist", split) for split in ("train", "test")}
    small = {split: Examples(shrunk(part.images), part.labels) for split, part in parts.items()}
    manifest = pack(home.folder / "mnist8", "mnist8", small, 10)
    out = folder / "run"
    run_suite(Suite.model_validate(SUITE), out=out, data=home.folder, keep="finals", executor="serial", device="cpu")
    ticket = load_ticket(out)
    mean, std = (tuple(value / 255 for value in values) for values in (manifest.mean, manifest.std))
    write(Checkpoint(ticket.final, mean, std, manifest.shape), folder / f"{NAME}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
