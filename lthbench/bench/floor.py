"""The floor of a device: the time that its memory and its arithmetic allow, both measured on the device."""

from dataclasses import dataclass

import torch
from torch import Generator

from lthbench.bench.clock import rounds
from lthbench.models import Model
from lthbench.models.cost import activations, multiplications
from lthbench.training.numerics import precision

PASSES = 11  # over each convolution's output in one step: forward, batch-norm, ReLU and the backward pass
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
SIZES = {"cpu": (1 << 24, 1024), "cuda": (1 << 28, 8192)}  # bytes that are copied, side of the matrices
COPIES = 10  # in one timing, so that the start of one does not count


@dataclass(frozen=True)
class Floor:
    """The limits of a device: `bandwidth` in bytes read and written per second, `rate` in operations per second.

    The latter is measured on matrix products.
    """

    bandwidth: float
    rate: float

    def image(self, model: Model, name: str) -> float:
        """Return the least seconds that training on one image takes in a precision: the limit of memory or of
        arithmetic."""
        memory = PASSES * activations(model) * DTYPES[name].itemsize / self.bandwidth
        arithmetic = 3 * 2 * multiplications(model, {})[1] / self.rate  # one product forward, two backward
        return max(memory, arithmetic)


def measured(name: str, device: torch.device) -> Floor:
    """Measure the floor of a device in a precision, as the best of several rounds, on seeded random numbers.

    On constants a device takes less power, and is faster than it can train.
    """
    size, side = SIZES.get(device.type, SIZES["cuda"])
    g = Generator(device).manual_seed(0)
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=device, generator=g)
    target = torch.empty_like(source)
    matrix = torch.randn(side, side, device=device, generator=g).to(DTYPES[name])

    def copy() -> None:
        for _ in range(COPIES):
            target.copy_(source)

    with precision("tf32" if name == "tf32" else "fp32", device):
        times = rounds({"copy": copy, "product": lambda: matrix @ matrix}, device, 7)
    return Floor(2 * COPIES * size / min(times["copy"]), 2 * side**3 / min(times["product"]))
