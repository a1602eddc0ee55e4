"""Parts that families share: widths, convolutions, the normalisation, and pooling that small images survive."""

from torch import Tensor, nn

from lthbench.models.norm_act import norm_act

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # their weights may be pruned, and named schemes draw them
PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")  # matrices of nn.MultiheadAttention
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def scaled(channels: int, width: float) -> int:
    """Return a number of channels under a width multiplier, rounded down, and at least one."""
    return max(1, int(width * channels))


def norm(channels: int) -> nn.Module:
    """Return the normalisation that follows every convolution of lthbench's own families."""
    return nn.BatchNorm2d(channels)


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a square convolution without a bias, padded so that stride 1 keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


class ConvNorm(nn.Module):
    """A convolution `conv` and its normalisation `bn`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = convolution(inputs, outputs, kernel, stride, groups)
        self.bn = norm(outputs)

    def forward(self, maps: Tensor, shortcut: Tensor | None = None, activation: str = "") -> Tensor:
        return norm_act(self.bn, self.conv(maps), shortcut, activation)


def halved(maps: Tensor) -> Tensor:
    """Max-pool [N, C, H, W] to [N, C, H // 2, W // 2]. Maps whose H or W is 1 stay as they are."""
    return nn.functional.max_pool2d(maps, 2) if min(maps.shape[2:]) > 1 else maps


def averaged(maps: Tensor) -> Tensor:
    """Average [N, C, H, W] over all positions to [N, C]."""
    return maps.mean((2, 3))
