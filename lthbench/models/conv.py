"""conv2, conv4, conv6 (Frankle & Carbin, ICLR 2019) and conv8 (Ramanujan et al., CVPR 2020): small VGGs without batch-norm."""

from torch import Tensor, nn

from lthbench.models.layers import halved, scaled

CHANNELS = (64, 128, 256, 512)
NEURONS = 256


class Conv(nn.Module):
    """A network of two 3x3 convolutions a stage (`stages.s.0`, `stages.s.1`) and a 2x2 pooling, then `fc1`, `fc2`, `fc`.

    Every layer has a bias. (Those of Ramanujan et al. have none; their weights are not trained, and biases start at 0.)
    """

    def __init__(self, shape: tuple[int, int, int], stages: int, classes: int, width: float):
        super().__init__()
        last, height, columns = shape
        self.stages = nn.ModuleList()
        for channels in CHANNELS[:stages]:
            outputs = scaled(channels, width)
            pair = nn.Conv2d(last, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
            self.stages.append(nn.ModuleList(pair))
            last = outputs
            if min(height, columns) > 1:
                height, columns = height // 2, columns // 2
        neurons = scaled(NEURONS, width)
        self.fc1 = nn.Linear(last * height * columns, neurons)
        self.fc2 = nn.Linear(neurons, neurons)
        self.fc = nn.Linear(neurons, classes)

    def forward(self, images: Tensor) -> Tensor:
        for stage in self.stages:
            for convolution in stage:  # type: ignore[attr-defined]
                images = convolution(images).relu()
            images = halved(images)
        return self.fc(self.fc2(self.fc1(images.flatten(1)).relu()).relu())


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `convD`, with D convolutions. The width multiplier scales channels and neurons."""
    return Conv(shape, int(name.removeprefix("conv")) // 2, classes, width)
