"""Mixed images: every example of a batch is mixed with another one, and so are their labels.

The draws are made beforehand, one Beta(α, α) for a batch as in the papers. torchvision's MixUp and CutMix draw from the
global generator, which a captured step cannot do.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lthbench.training.rules.rule import Rule, TrainingState


@dataclass(frozen=True)
class Mixing(Rule):
    """A rule that mixes images. `mix` says how."""

    alpha: float

    @abstractmethod
    def mix(self, s: TrainingState, images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixed images and the share of the first ones in them, [B]."""

    def draw(self, count: int, g: Generator) -> dict[str, Tensor]:
        share = torch._sample_dirichlet(torch.tensor([self.alpha, self.alpha]), generator=g)[0]
        place = torch.rand(2, generator=g)
        numbers = {"share": share, "row": place[0], "column": place[1]}
        return {name: t.expand(count) for name, t in numbers.items()} | {"other": torch.randperm(count, generator=g)}

    def batch(self, s: TrainingState, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        mixed, share = self.mix(s, images, images[s.draws["other"]])
        soft = (labels[:, None] == torch.arange(s.model.classes, device=labels.device)).to(share.dtype)
        return mixed, torch.lerp(soft[s.draws["other"]], soft, share[:, None])


@dataclass(frozen=True)
class Mixup(Mixing):
    """λ x + (1 − λ) x' with λ from Beta(α, α). Zhang et al., ICLR 2018, arXiv:1710.09412."""

    alpha: float = 0.2

    def mix(self, s: TrainingState, images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        share = s.draws["share"]
        return torch.lerp(others, images, share[:, None, None, None]), share


@dataclass(frozen=True)
class CutMix(Mixing):
    """A rectangle of 1 − λ of the area, with λ from Beta(α, α), is that of another image. Its centre is uniform.

    It is cut off at the border, and the labels have the shares of the pixels. Yun et al., ICCV 2019, arXiv:1905.04899.
    """

    alpha: float = 1.0

    def mix(self, s: TrainingState, images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        side = (1 - s.draws["share"]).sqrt()
        down, across = (
            _between(s.draws[name], side, size) for name, size in zip(("row", "column"), images.shape[2:], strict=True)
        )
        inside = down[:, :, None] & across[:, None, :]
        return torch.where(inside[:, None], others, images), 1 - inside.to(side.dtype).mean((1, 2))


def _between(centre: Tensor, side: Tensor, size: int) -> Tensor:
    """Mark the pixels of a row within an interval around a centre, both as fractions of the row: [B, size]."""
    middles = (torch.arange(size, device=centre.device) + 0.5) / size
    return (middles - centre[:, None]).abs() < side[:, None] / 2
