"""ResNet-18, -34 and -50 (He et al., CVPR 2016): torchvision's definition, at any width.

Their own stem is that for ImageNet (7x7, stride 2, pooling). `stem = "cifar"` or "tiny-imagenet" replaces it.
torchvision is imported when a model is built, for that takes seconds.
"""

from typing import Any

from torch import nn

from lthbench.models.layers import scaled
from lthbench.models.stem import fit_channels

BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}
FIRST = 64


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `resnet18`, `resnet34` or `resnet50`: `conv1`, then block i of stage s as `layerS.i` (S from 1), then `fc`."""
    from torchvision.models import resnet

    class Scaled(resnet.ResNet):
        """torchvision's ResNet at any width. Its own width is that of the 3x3 convolutions inside bottlenecks."""

        def _make_layer(self, block: Any, planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> Any:
            if planes == FIRST:
                self.inplanes = scaled(FIRST, width)
                self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
                self.bn1 = nn.BatchNorm2d(self.inplanes)
            return super()._make_layer(block, scaled(planes, width), blocks, stride, dilate)

    depth = int(name.removeprefix("resnet"))
    module = Scaled(resnet.Bottleneck if depth >= 50 else resnet.BasicBlock, BLOCKS[depth], classes)
    module.fc = nn.Linear(module.inplanes, classes)
    return fit_channels(module, shape[0])
