"""MobileNet-v1 (Howard et al. 2017) and -v2 (Sandler et al., CVPR 2018) for 32x32 images.

They have fewer strides than in the papers. The first convolution has stride 1 in both, and so has the first stage of v2
that has stride 2 in the paper. 32x32 images end as 2x2 maps in v1 and as 4x4 maps in v2. Strides change no parameter.
"""

from torch import Tensor, nn

from lthbench.models.layers import ConvNorm, averaged, convolution, norm, scaled
from lthbench.models.norm_act import norm_act

V1 = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))  # channels, blocks, stride of the first one
V2 = ((16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
EXPANSION = 6  # of v2's blocks, except those of its first stage, which do not expand
FIRST, HEAD = 32, 1280  # channels of the first convolution, and of v2's last one


class Separable(nn.Module):
    """A block of a 3x3 convolution of every channel by itself, then a 1x1 convolution: `depthwise`, `pointwise`."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, stride=stride, groups=inputs)
        self.pointwise = ConvNorm(inputs, outputs, kernel=1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(maps, activation="relu"), activation="relu")


class MobileNetV1(nn.Module):
    """A network of `conv1`, `bn1`, then block i of stage s as `stages.s.i`, then `fc`."""

    def __init__(self, inputs: int, classes: int, width: float):
        super().__init__()
        last = scaled(FIRST, width)
        self.conv1, self.bn1 = convolution(inputs, last), norm(last)
        self.stages = nn.Sequential()
        for channels, count, stride in V1:
            outputs = scaled(channels, width)
            blocks = [Separable(outputs if i else last, outputs, 1 if i else stride) for i in range(count)]
            self.stages.append(nn.Sequential(*blocks))
            last = outputs
        self.fc = nn.Linear(last, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(averaged(self.stages(norm_act(self.bn1, self.conv1(images), activation="relu"))))


class Inverted(nn.Module):
    """A block of `expand` (1x1), `depthwise` (3x3), `project` (1x1, without ReLU), and a shortcut if `residual`."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, residual: bool):
        super().__init__()
        hidden = inputs * expansion
        self.expand = ConvNorm(inputs, hidden, kernel=1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(hidden, hidden, stride=stride, groups=hidden)
        self.project = ConvNorm(hidden, outputs, kernel=1)
        self.residual = residual

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.expand(maps, activation="relu6") if isinstance(self.expand, ConvNorm) else maps
        return self.project(self.depthwise(hidden, activation="relu6"), maps if self.residual else None)


class MobileNetV2(nn.Module):
    """A network of `conv1`, `bn1`, block i of stage s as `stages.s.i`, a last 1x1 convolution `conv2`, `bn2`, and `fc`.

    The width multiplier scales all channels, also those of `conv2`. It rounds down, and not to multiples of 8.
    """

    def __init__(self, inputs: int, classes: int, width: float):
        super().__init__()
        last = scaled(FIRST, width)
        self.conv1, self.bn1 = convolution(inputs, last), norm(last)
        self.stages = nn.Sequential()
        for index, (channels, count, stride) in enumerate(V2):
            outputs, expansion = scaled(channels, width), EXPANSION if index else 1
            first = Inverted(last, outputs, stride, expansion, residual=False)
            others = [Inverted(outputs, outputs, 1, expansion, residual=True) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(first, *others))
            last = outputs
        head = scaled(HEAD, width)
        self.conv2, self.bn2 = convolution(last, head, kernel=1), norm(head)
        self.fc = nn.Linear(head, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stages(norm_act(self.bn1, self.conv1(images), activation="relu6"))
        return self.fc(averaged(norm_act(self.bn2, self.conv2(maps), activation="relu6")))


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `mobilenet-v1` or `mobilenet-v2`. The width multiplier scales the channels."""
    network = MobileNetV1 if name.endswith("v1") else MobileNetV2
    return network(shape[0], classes, width)
