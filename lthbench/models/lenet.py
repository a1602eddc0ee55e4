"""LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling: two 5x5 convolutions and three linear layers."""

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from lthbench.errors import InputError
from lthbench.models.layers import scaled

CHANNELS = (6, 16)
WIDTHS = (120, 84)
MADE_FOR = 32  # side of the images in pixels; smaller ones get a frame of zeros two pixels wide, as 28x28 digits did


class LeNet5(nn.Module):
    """A network of `conv1`, `conv2`, `fc1`, `fc2`, `fc`: 61,706 parameters on 1x28x28 images of ten classes."""

    def __init__(self, shape: tuple[int, int, int], classes: int, width: float):
        super().__init__()
        (first, second), (third, fourth) = ([scaled(count, width) for count in counts] for counts in (CHANNELS, WIDTHS))
        padding = 2 if min(shape[1:]) < MADE_FOR else 0
        height, columns = (_side(side + 2 * padding) for side in shape[1:])
        if min(height, columns) < 1:
            raise InputError(f"lenet5 takes images of 12x12 pixels or more, not {shape[1]}x{shape[2]}")
        self.conv1 = nn.Conv2d(shape[0], first, 5, padding=padding)
        self.conv2 = nn.Conv2d(first, second, 5)
        self.fc1 = nn.Linear(second * height * columns, third)
        self.fc2 = nn.Linear(third, fourth)
        self.fc = nn.Linear(fourth, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = max_pool2d(self.conv1(images).relu(), 2)
        maps = max_pool2d(self.conv2(maps).relu(), 2)
        return self.fc(self.fc2(self.fc1(maps.flatten(1)).relu()).relu())


def _side(side: int) -> int:
    """Return the side of the maps after two 5x5 convolutions, each followed by a 2x2 pooling."""
    return ((side - 4) // 2 - 4) // 2


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `lenet5`. The width multiplier scales channels and neurons."""
    return LeNet5(shape, classes, width)
