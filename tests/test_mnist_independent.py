"""The board of `mnist` against a plain PyTorch loop that shares no code with lthbench. Takes minutes; needs packed MNIST."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

RESULTS = Path(__file__).parent.parent / "leaderboard/results/mnist"
DATA = Path(os.environ.get("LTHBENCH_DATA", "~/.cache/lthbench/data")).expanduser() / "mnist"
SEEDS, EPOCHS, BATCH, HELD_OUT, SPARSITY = 3, 20, 128, 5000, 0.95
HERE = {"dense": "dense", "ticket": "lottery-ticket", "prune-finetune": "prune-finetune"}

Split = tuple[Tensor, Tensor]


def split(name: str, mean: float, deviation: float) -> Split:
    images, labels = (torch.from_numpy(np.load(DATA / f"{name}.{part}.npy")) for part in ("images", "labels"))
    return (images.flatten(1).float() / 255 - mean) / deviation, labels.long()


@pytest.fixture(scope="module")
def mnist() -> tuple[Split, Split]:
    if not (DATA / "manifest.json").exists():
        pytest.skip(f"MNIST is not packed in {DATA.parent}")
    pixels = np.load(DATA / "train.images.npy") / 255
    return split("train", pixels.mean(), pixels.std()), split("test", pixels.mean(), pixels.std())


def network() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    for layer in net[::2]:
        nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return net


def train(net: nn.Module, images: Tensor, labels: Tensor, rate: float) -> None:
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [EPOCHS // 2, EPOCHS * 3 // 4])
    for _ in range(EPOCHS):
        for index in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(net(images[index]), labels[index]).backward()
            optimizer.step()
        schedule.step()


def pruned_as(net: nn.Sequential, trained: nn.Sequential) -> nn.Sequential:
    """`net` under the mask of the largest weights of `trained`, all layers together."""
    every = torch.cat([layer.weight.detach().abs().flatten() for layer in trained[::2]])
    border = every.kthvalue(round(SPARSITY * len(every))).values
    for layer, model in zip(net[::2], trained[::2], strict=True):
        prune.custom_from_mask(layer, "weight", model.weight.detach().abs() > border)
    return net


def accuracies(mnist: tuple[Split, Split], rate: float, seed: int) -> dict[str, float]:
    """Test accuracy of the dense network, of its ticket and of its fine-tuned subnetwork, in percent."""
    (images, labels), (test_images, test_labels) = mnist
    torch.manual_seed(1000 + seed)
    kept = torch.randperm(len(labels))[HELD_OUT:]
    dense, ticket, tuned = network(), network(), network()
    ticket.load_state_dict(dense.state_dict())
    train(dense, images[kept], labels[kept], rate)
    tuned.load_state_dict(dense.state_dict())
    found = {"dense": dense, "ticket": pruned_as(ticket, dense), "prune-finetune": pruned_as(tuned, dense)}
    for name in ("ticket", "prune-finetune"):
        train(found[name], images[kept], labels[kept], rate)
    return {n: 100 * (net(test_images).argmax(1) == test_labels).float().mean().item() for n, net in found.items()}


def published(method: str, rate: float) -> list[float]:
    results = [json.loads(line)["result"] for line in (RESULTS / f"{method}.jsonl").read_text().splitlines()]
    mine = [r for r in results if r["learning_rate"] == rate and r["sparsity"] in (0.0, SPARSITY)]
    return [100 * r["test"]["right"] / r["test"]["of"] for r in mine]


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_a_plain_loop_reaches_the_accuracies_of_the_board(mnist: tuple[Split, Split], rate: float) -> None:
    plain = [accuracies(mnist, rate, seed) for seed in range(SEEDS)]
    for name, method in HERE.items():
        here, there = [found[name] for found in plain], published(method, rate)
        print(f"{name} at {rate}: plain {np.mean(here):.3f}, board {np.mean(there):.3f} ± {np.std(there, ddof=1):.3f}")
        assert stats.ttest_ind(here, there, equal_var=False).pvalue > 0.005, (name, here, there)
