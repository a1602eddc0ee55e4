"""What a GPU gives to many small trainings, without lthbench: the bare step, captured once a network, on streams.

`python -m tests.gpu.probe DEVICE SECONDS LANES [MODEL] [--eager] [--autotuned] [--compiled]` prints JSON: seconds of a
step of one network for each number of networks. It is the upper bound of what `lthbench speed` can reach: no masks, no
rules, the same batch again and again, one augmentation as one gather from padded bytes. It leaves the environment alone,
so that CUDA_DEVICE_MAX_CONNECTIONS can be compared.
"""

import argparse
import json
import os

import torch
import torch.nn.functional as F
from torch import Tensor

from lthbench.bench import clock
from lthbench.models import Model

BATCH, SIDE, PAD = 128, 32, 4
IMAGES = {"cpu": 256, "cuda": 50_000}


class Data:
    """Padded images as bytes; one gather cuts and flips a batch."""

    def __init__(self, device: torch.device):
        count, side = IMAGES[device.type], SIDE + 2 * PAD
        g = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=g).to(device)
        self.labels = torch.randint(0, 10, (count,), generator=g).to(device)
        self.ramp = torch.arange(SIDE, device=device)

    def batch(self, index: Tensor, down: Tensor, right: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
        rows = (down[:, None] + self.ramp)[:, :, None]
        columns = torch.where(flip[:, None], SIDE - 1 - self.ramp, self.ramp) + right[:, None]
        cut = self.images[index[:, None, None], rows, columns[:, None, :]]
        return (cut.permute(0, 3, 1, 2).float() - 120.0) / 64.0, self.labels[index]


class Network:
    """One network and its step, in bf16 and channels-last, by SGD with momentum."""

    def __init__(self, name: str, data: Data, seed: int, device: torch.device, compiled: bool):
        torch.manual_seed(seed)
        module = Model(name, (3, SIDE, SIDE), 10, "all").build("cpu").to(device, memory_format=torch.channels_last)
        self.data, self.device = data, device
        self.params = list(module.parameters())
        self.momentum = [torch.zeros_like(p) for p in self.params]
        self.forward = torch.compile(module, dynamic=False) if compiled else module
        draw = {"generator": torch.Generator().manual_seed(seed)}
        most = (len(data.labels), 2 * PAD + 1, 2 * PAD + 1, 2)
        index, down, right, flip = (torch.randint(0, top, (BATCH,), **draw).to(device) for top in most)  # type: ignore[call-overload]
        self.drawn = index, down, right, flip.bool()
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.graph: torch.cuda.CUDAGraph | None = None

    def step(self) -> None:
        images, labels = self.data.batch(*self.drawn)
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            loss = F.cross_entropy(self.forward(images).float(), labels)
        grads = list(torch.autograd.grad(loss, self.params))
        with torch.no_grad():
            torch._foreach_mul_(self.momentum, 0.9)
            torch._foreach_add_(self.momentum, grads)
            torch._foreach_add_(self.params, self.momentum, alpha=-0.05)

    def capture(self) -> None:
        assert self.stream
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(3):
                self.step()
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.step()

    def run(self) -> None:
        if self.graph:
            with torch.cuda.stream(self.stream):
                self.graph.replay()
        else:
            self.step()


def seconds_each(networks: list[Network], least: float, device: torch.device) -> float:
    """Return the seconds of a step of one network while all of them train."""

    def some(count: int) -> float:
        return clock.seconds(lambda: [network.run() for _ in range(count) for network in networks], device)

    some(1)
    rounds, took = clock.enough(some, least)
    return took / rounds / len(networks)


def main() -> None:
    """Print the seconds by number of networks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("device", type=torch.device)
    parser.add_argument("seconds", type=float)
    parser.add_argument("lanes", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("model", nargs="?", default="resnet20")
    for name in ("eager", "autotuned", "compiled"):
        parser.add_argument(f"--{name}", action="store_true")
    asked = parser.parse_args()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = asked.autotuned, not asked.autotuned
    data, found = Data(asked.device), {}
    for count in asked.lanes:
        networks = [Network(asked.model, data, seed, asked.device, asked.compiled) for seed in range(count)]
        if asked.device.type == "cuda" and not asked.eager:
            for network in networks:
                network.capture()
        found[count] = seconds_each(networks, asked.seconds, asked.device)
    queues = os.environ.get("CUDA_DEVICE_MAX_CONNECTIONS", "default")
    print(json.dumps({"model": asked.model, "queues": queues, "step": found}))


if __name__ == "__main__":
    main()
