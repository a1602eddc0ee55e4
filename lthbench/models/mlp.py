"""Multi-layer perceptrons by their widths: `mlp-300-100` has two hidden layers."""

from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Module):
    """Hidden layers `hidden.0`, `hidden.2`, … with ReLU between them, then `out`. The images are flattened."""

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
    """`mlp-W1-W2-…`; the width multiplier scales the hidden layers, each at least one neuron wide."""
    channels, height, columns = shape
    hidden = [max(1, int(width * int(part))) for part in name.split("-")[1:]]
    return MLP(channels * height * columns, hidden, classes)
