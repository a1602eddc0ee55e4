"""A model under another name, with its layers under other names: nothing a method may depend on (RULES.md, section 2)."""

from collections.abc import Callable

from torch import Tensor, nn

PREFIX = "renamed-"
INSIDE = "inside"  # the name of the network in it


class Renamed(nn.Module):
    """A network inside another module, so that every parameter has a longer name."""

    def __init__(self, inside: nn.Module):
        super().__init__()
        self.inside = inside

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.inside(images)
        return found


def family(builder: Callable[[str], Callable[..., nn.Module]]) -> Callable[..., nn.Module]:
    """Return what builds `renamed-NAME` by the builder of NAME."""

    def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
        own = name.removeprefix(PREFIX)
        return Renamed(builder(own)(own, shape, classes, width))

    return build
