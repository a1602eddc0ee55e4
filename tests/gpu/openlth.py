"""Time a training step as OpenLTH does it: `python -m tests.gpu.openlth DEVICE SECONDS [MODEL ...]` prints JSON.

Written anew from its documented behaviour, with no code of it: a loader hands out CIFAR-10 image by image, each as a PIL
image that is flipped, cropped, turned into a tensor and normalised in worker processes; the network multiplies its
weights by its mask in place before every forward pass; float32, torch.optim.SGD with momentum, a schedule that is
stepped at every batch. The images are random ones, which take the same time. `ready` is the same step with tensors that
are on the device already: what is left once the loader costs nothing.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from lthbench.bench import clock
from lthbench.models import Model

BATCH = 128
IMAGES = {"cpu": 256, "cuda": 50_000}
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Images(Dataset[Any]):
    """CIFAR-10's shape, from an array to augmented tensors one by one."""

    def __init__(self, count: int):
        numbers = np.random.default_rng(0)
        self.images = numbers.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        self.labels = numbers.integers(0, 10, count)
        self.augment = transforms.Compose([
            transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, 4), transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        return self.augment(Image.fromarray(self.images[at])), int(self.labels[at])


class Masked(nn.Module):
    """A network that applies its mask to its weights before every forward pass."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.weights = [p for p in network.parameters() if p.dim() > 1]
        self.masks = [torch.ones_like(p) for p in self.weights]

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            for weight, mask in zip(self.weights, self.masks, strict=True):
                weight.mul_(mask)
        return self.network(images)


def stepping(name: str, device: torch.device) -> Callable[[Tensor, Tensor], None]:
    """Return one step of training, of a batch."""
    torch.manual_seed(0)
    network = Masked(Model(name, (3, 32, 32), 10, "all").build("cpu").to(device)).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    loss = nn.CrossEntropyLoss()

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        loss(network(images.to(device)), labels.to(device)).backward()
        optimizer.step()
        schedule.step()

    return step


def timed(
    step: Callable[[Tensor, Tensor], None], batches: Iterator[Any], seconds: float, device: torch.device
) -> float:
    """Return the seconds of a step, after two that do not count."""

    def some(count: int) -> float:
        return clock.seconds(lambda: [step(*next(batches)) for _ in range(count)], device)

    some(2)
    steps, took = clock.enough(some, seconds)
    return took / steps


def measured(name: str, device: torch.device, seconds: float, workers: int) -> dict[str, float]:
    """Return the seconds of a step with the loader, and with ready tensors."""
    loader = DataLoader(Images(IMAGES[device.type]), BATCH, shuffle=True, num_workers=workers, pin_memory=device.type == "cuda",
                        drop_last=True)  # fmt: skip
    epochs = (batch for _ in cycle([0]) for batch in loader)
    ready = [tensor.to(device) for tensor in next(iter(loader))]
    step = stepping(name, device)
    return {
        "openlth": timed(step, epochs, seconds, device),
        "ready": timed(step, cycle([ready]), seconds, device),
    }


def main(device: torch.device, seconds: float, models: list[str]) -> None:
    torch.set_num_threads(1 if device.type == "cpu" else torch.get_num_threads())
    workers = 0 if device.type == "cpu" else min(8, len(os.sched_getaffinity(0)))
    print(json.dumps({"workers": workers, "batch": BATCH} | {
        name: measured(name, device, seconds, workers) for name in models
    }))  # fmt: skip


if __name__ == "__main__":
    main(torch.device(sys.argv[1]), float(sys.argv[2]), sys.argv[3:] or ["resnet20"])
