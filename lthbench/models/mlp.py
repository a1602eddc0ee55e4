"""Multi-layer perceptrons by their widths: `mlp-300-100` has two hidden layers."""

from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Module):
    """A perceptron of hidden layers `hidden.0`, `hidden.2`, … with ReLU between them, then `out`, on flattened images."""

    def __init__(self, features: int, hidden: Sequence[int], classes: int):
        super().__init__()
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(features, width), nn.ReLU()]
            features = width
        self.hidden = nn.Sequential(*layers)
        self.out = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.hidden(images.flatten(1)))


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `mlp-W1-W2-…`. The width multiplier scales the hidden layers; each has at least one neuron."""
    channels, height, columns = shape
    hidden = [max(1, int(width * int(part))) for part in name.split("-")[1:]]
    return MLP(channels * height * columns, hidden, classes)
