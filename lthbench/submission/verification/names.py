"""Names that a submission may not take: those of baselines and of suites' methods, and names that look like them."""

from functools import cache

from lthbench.methods import registry
from lthbench.suite import Suite, names

_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "2": "z", "8": "b", "-": None, "_": None, ".": None})


def taken(label: str) -> str | None:
    """Say which reserved name a label has or looks like; None for a name of its own."""
    name = label.partition("[")[0]
    alike = _reserved().get(_skeleton(name))
    if alike is None:
        return None
    like = f"is the name of {alike!r}" if name == alike else f"looks like {alike!r}"
    return f"the name {label!r} {like}, which comes with lthbench; choose another name"


@cache
def _reserved() -> dict[str, str]:
    """Return reserved names by what is left of them when letters that look alike are made one."""
    baselines = [m.name for m in registry.load_all().values() if m.file.parent == registry.FOLDER]
    suites = [Suite.read(name) for name in names()]
    listed = [method.partition("[")[0] for suite in suites for method in suite.methods]
    return {_skeleton(name): name for name in (*listed, *baselines)}


def _skeleton(name: str) -> str:
    """Reduce a name to what a hasty reader sees: no hyphens, no difference of l and 1, doubled letters once."""
    alike = name.lower().translate(_ALIKE).replace("rn", "m").replace("vv", "w")
    return "".join(c for c, before in zip(alike, " " + alike, strict=False) if c != before)
