"""The parts that families share: widths, convolutions, the normalisation, pooling that small images survive."""

from torch import Tensor, nn

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # whose weights may be pruned and are drawn by a named scheme
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def scaled(channels: int, width: float) -> int:
    """So many channels under a width multiplier, rounded down, and at least one."""
    return max(1, int(width * channels))


def norm(channels: int) -> nn.Module:
    """The normalisation behind every convolution of lthbench's own families."""
    return nn.BatchNorm2d(channels)


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A square convolution without a bias, padded so that stride 1 keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


class ConvNorm(nn.Module):
    """A convolution `conv` and its normalisation `bn`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = convolution(inputs, outputs, kernel, stride, groups)
        self.bn = norm(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        return self.bn(self.conv(maps))


def halved(maps: Tensor) -> Tensor:
    """[N, C, H, W] → [N, C, H // 2, W // 2] by max-pooling; as they are where H or W is 1 already."""
    return nn.functional.max_pool2d(maps, 2) if min(maps.shape[2:]) > 1 else maps


def averaged(maps: Tensor) -> Tensor:
    """[N, C, H, W] → [N, C]: the mean over all positions."""
    return maps.mean((2, 3))
