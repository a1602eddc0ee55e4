"""Check that bits are equal where they must be: in two processes, beside neighbours, and with and without graphs.

`python -m tests.gpu.bits DEVICE [--short]` prints a line for each comparison, and ends with 1 where one differs.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext

import torch

from lthbench.pruning.state import State
from lthbench.runs.workers.process_state import FairLock
from lthbench.training import numerics
from lthbench.training.gpu.graph_trainer import GraphTrainer
from lthbench.training.trainer import Trainer
from lthbench.training.trajectory import Trajectory
from tests import helpers
from tests.gpu.trainings import feed, start, trajectory

KINDS = [
    ("mlp-300-100", "fp32"), ("resnet20", "bf16"), ("resnet20", "fp32"), ("vgg16", "bf16"), ("mobilenet-v2", "bf16"),
    ("resnet18", "bf16"), ("timm:vit_tiny_patch16_224", "bf16"),
]  # fmt: skip
NEIGHBOURS, AT_ONCE = 40, 8


class World:
    """Trainings on one device."""

    def __init__(self, device: torch.device, short: bool):
        self.device, self.short = device, short
        self.data = feed(64 if short else 2560, device=device)
        self.kinds = KINDS[:1] if short else KINDS

    def training(self, name: str, precision: str, seed: int = 0, epochs: int = 2) -> Trajectory:
        return trajectory(
            name, self.data, precision=precision, seed=seed, batch=16 if self.short else 128, epochs=epochs
        )

    def ended(self, t: Trajectory, kind: type[Trainer] = GraphTrainer, turns: FairLock | None = None) -> str:
        """Train. Returns the digests of all tensors of the end."""
        numerics.set_up(self.device)
        found: dict[int, State] = {}
        turn = (lambda: turns) if turns else nullcontext
        with turn():
            trainer = kind(t, start(t), 0, self.data, turn)  # type: ignore[arg-type]
            trainer.prepare()
        with closing(trainer):
            trainer.run([t.clock.total], found.__setitem__)
        return json.dumps(helpers.bits(found[t.clock.total]), default=str)

    def digests(self) -> dict[str, str]:
        return {f"{name} {precision}": self.ended(self.training(name, precision)) for name, precision in self.kinds}


def compare(world: World, again: dict[str, str]) -> dict[str, bool]:
    """Return the comparisons by name, and whether both sides are equal."""
    here = world.digests()
    found = {f"{name}: two processes": here[name] == again[name] for name in here}
    for name, precision in world.kinds:
        plain = world.ended(world.training(name, precision), Trainer)
        found[f"{name} {precision}: with and without graphs"] = plain == here[f"{name} {precision}"]
    turns = FairLock()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        ours = {key: threads.submit(world.ended, world.training(*key), turns=turns) for key in world.kinds}
        others = [
            threads.submit(world.ended, world.training("mlp-8", "fp32", seed, 1), turns=turns)
            for seed in range(1, 1 + (4 if world.short else NEIGHBOURS))
        ]
        for (name, precision), future in ours.items():
            found[f"{name} {precision}: beside neighbours"] = future.result() == here[f"{name} {precision}"]
        for other in others:
            other.result()
    return found


def main() -> int:
    """Print the comparisons. Returns 1 where one differs."""
    device, short = torch.device(sys.argv[1]), "--short" in sys.argv
    numerics.set_up(device)
    if "--digests" in sys.argv:
        print(json.dumps(World(device, short).digests()))
        return 0
    command = [sys.executable, "-m", "tests.gpu.bits", *sys.argv[1:], "--digests"]
    again = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    found = compare(World(device, short), again)
    for name, same in found.items():
        print(f"{name:60} {'equal' if same else 'DIFFERENT'}")
    return int(not all(found.values()))


if __name__ == "__main__":
    sys.exit(main())
