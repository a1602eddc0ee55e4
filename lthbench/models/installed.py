"""Models of installed packages, under the entry point `lthbench.models`: the name of a model, and what makes it."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from torch import nn

from lthbench.errors import InputError
from lthbench.models.called import called


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return a model of an installed package. InputError where the package cannot be imported."""
    point = _points()[name]
    try:
        make = point.load()
    except Exception as error:  # of the import of anybody's package
        raise InputError(f"{point.value} does not load: {type(error).__name__}: {error}") from error
    return called(make, shape, classes, width)


def names() -> list[str]:
    """Return the names of the models that installed packages offer."""
    return sorted(_points())


def release(name: str) -> str:
    """Return the version of the package that offers a model, "" for a model of no package."""
    point = _points().get(name)
    return f"{point.dist.name} {point.dist.version}" if point and point.dist else ""


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="lthbench.models")}
