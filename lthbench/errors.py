"""The errors, by cause. Every message says what was asked, what there was, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class LthbenchError(Exception):
    """The base class of all errors that lthbench reports in one line."""


class InputError(LthbenchError):
    """Wrong input of the user: a suite, a name, a parameter, a folder. The command line exits with 2."""


class Halted(InputError):
    """A stop of the suite. No run fails because of it, and the same command continues where it stopped."""


class Unwritable(Halted):
    """A folder that cannot be written: it is full, read-only or gone."""


class ClusterLost(Halted):
    """The loss of the cluster that did the operations."""


class MethodError(LthbenchError):
    """A violation of the rules by a method. Its own run fails with this reason, and the other runs continue."""


class OverBudget(MethodError):
    """An operation that would exceed the suite's budget. It is raised before the operation starts."""


class ValueLooked(LthbenchError):
    """A look at a value during planning. From there on, the plan of the method is an upper bound ("at most")."""


class MissingEntry(LthbenchError):
    """An entry, needed by an operation, that the store does not have or has no longer."""

    def __init__(self, key: str):
        super().__init__(f"the store has no entry {key}")
        self.key = key

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self.key,)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the line for an unknown name: the name, the nearest known name, and all known names."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no {what} {name!r}.{hint} Known: {', '.join(known) or 'none'}."
