"""A suite with a model in a file and one from pretrained weights of timm, both made here."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from lthbench.suite import Suite
from lthbench.suite.workload import Workload
from lthbench.training.recipe import Recipe
from tests.runs.helpers import tiny

NET = """
from torch import nn
from layers_of_net import flat


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, 4, 3, 2, 1), nn.BatchNorm2d(4)
        self.out = nn.Linear(64, classes)

    def forward(self, images):
        return self.out(flat(self.norm(self.conv(images)).relu()))
"""


def write_net(folder: Path) -> None:
    """Write net.py and the module that it imports."""
    (folder / "net.py").write_text(NET)
    (folder / "layers_of_net.py").write_text("def flat(maps):\n    return maps.flatten(1)\n")


def write_weights(folder: Path) -> None:
    """Write weights of a small ResNet in timm's layout, for seven classes of images with three colours."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = timm.create_model("test_resnet", num_classes=7)
    images = {"mean": "[0.02, 0.02, 0.02]", "std": "[0.02, 0.02, 0.02]", "input_size": "[3, 160, 160]"}
    save_file(made.state_dict(), folder / "resnet.safetensors", images)


def given_suite(folder: Path) -> Suite:
    """Return the suite: one sparsity, one seed, two steps."""
    write_net(folder)
    write_weights(folder)
    own = Workload(model="net.py:Net", dataset="digits", prunable="all")
    pretrained = Workload(model="timm:test_resnet", dataset="digits", prunable="all", start="resnet.safetensors")
    recipe = Recipe(epochs=1, batch=64, lr=0.1, examples=128)
    workloads = (own.beside(folder), pretrained.beside(folder))
    return tiny(name="given", workload=workloads, sparsities=(0.5,), seeds=1, recipe=recipe)
