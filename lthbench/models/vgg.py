"""VGG with batch-norm for 32x32 images: the convolutions of Simonyan & Zisserman (ICLR 2015), then one linear layer.

As in Liu et al. (ICLR 2019, "Rethinking the value of network pruning") and Ma et al. 2021: convolutions have no bias.
"""

from torch import Tensor, nn

from lthbench.models.layers import ConvNorm, averaged, halved, scaled

CHANNELS = (64, 128, 256, 512, 512)
STAGES = {  # depth: convolutions in each of the five stages
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class Layer(ConvNorm):
    """A layer of a 3x3 convolution `conv`, batch-norm `bn`, and ReLU."""

    def forward(self, maps: Tensor, shortcut: Tensor | None = None, activation: str = "relu") -> Tensor:
        return super().forward(maps, shortcut, activation)


class VGG(nn.Module):
    """A network whose layer i of stage s is `stages.s.i`, then `fc`. A 2x2 pooling ends a stage if the map is larger than 1x1.

    32x32 images arrive at `fc` as 1x1 maps. The maps of larger images are averaged.
    """

    def __init__(self, inputs: int, depth: int, classes: int, width: float):
        super().__init__()
        self.stages = nn.ModuleList()
        for channels, layers in zip(CHANNELS, STAGES[depth], strict=True):
            outputs = scaled(channels, width)
            counts = [inputs, *[outputs] * layers]
            self.stages.append(nn.Sequential(*(Layer(counts[i], outputs) for i in range(layers))))
            inputs = outputs
        self.fc = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        for stage in self.stages:
            images = halved(stage(images))
        return self.fc(averaged(images))


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `vggD`, D one of STAGES. The width multiplier scales the channels."""
    return VGG(shape[0], int(name.removeprefix("vgg")), classes, width)
