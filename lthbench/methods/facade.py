"""The link from a public object to its machinery. No public name of a Run or a Network leads there.

The link is a private attribute of the object and not a table beside it: machinery refers back to its runs and networks, so
that a table would keep all of them alive.
"""

from typing import Any


def attach(public: Any, machinery: Any) -> None:
    """Attach machinery to a public object."""
    public._machinery = machinery


def behind(public: Any) -> Any:
    """Return the machinery attached to a public object."""
    return public._machinery
