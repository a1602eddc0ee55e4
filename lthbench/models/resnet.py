"""Residual networks for 32x32 images (He et al., CVPR 2016, section 4.2), with projections where the shape changes.

`resnet20` has 6n + 2 = 20 layers: three stages of n = 3 blocks at 16, 32 and 64 channels. Shortcuts between stages are a
1x1 convolution with batch-norm (option B), as in Chen et al. 2021 and Ma et al. 2021, and not the paper's zero padding.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from lthbench.models.layers import averaged, convolution, norm, scaled
from lthbench.models.norm_act import norm_act

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
CHANNELS = (16, 32, 64)


class Block(nn.Module):
    """A block relu(conv → bn → relu → conv → bn + shortcut). The shortcut is empty if input and output have one shape."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, outputs, stride=stride), norm(outputs)
        self.conv2, self.bn2 = convolution(outputs, outputs), norm(outputs)
        same = stride == 1 and inputs == outputs
        projection = () if same else (convolution(inputs, outputs, kernel=1, stride=stride), norm(outputs))
        self.shortcut = nn.Sequential(*projection)

    def forward(self, maps: Tensor) -> Tensor:
        hidden = norm_act(self.bn1, self.conv1(maps), activation="relu")
        return norm_act(self.bn2, self.conv2(hidden), self._beside(maps), "relu")

    def _beside(self, maps: Tensor) -> Tensor:
        """Return what the shortcut adds."""
        if not self.shortcut:
            return maps
        projection, bn = self.shortcut
        return norm_act(bn, projection(maps))


class ResNet(nn.Module):
    """A network of `conv1`, `bn1`, then block i of stage s as `stages.s.i`, then `fc`."""

    def __init__(self, inputs: int, blocks: int, classes: int, width: float):
        super().__init__()
        channels = [scaled(count, width) for count in CHANNELS]
        self.conv1, self.bn1 = convolution(inputs, channels[0]), norm(channels[0])
        before = (channels[0], *channels)
        stages = [_stage(before[s], channels[s], blocks, stride=1 if s == 0 else 2) for s in range(len(channels))]
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.fc = nn.Linear(channels[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(averaged(self.stages(norm_act(self.bn1, self.conv1(images), activation="relu"))))


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> Iterator[Block]:
    yield Block(inputs, outputs, stride)
    for _ in range(blocks - 1):
        yield Block(outputs, outputs, 1)


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `resnetD`, D one of DEPTHS. The width multiplier scales the channels of all stages."""
    return ResNet(shape[0], (int(name.removeprefix("resnet")) - 2) // 6, classes, width)
