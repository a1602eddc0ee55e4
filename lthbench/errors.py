"""What can go wrong, by whose doing. Every message says what was asked, what there was, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class LthbenchError(Exception):
    """Anything that lthbench says no to, in one line."""


class InputError(LthbenchError):
    """What the user gave is wrong: a suite, a name, a parameter, a folder. The command line exits with 2."""


class Halted(InputError):
    """The suite cannot go on here. It stops; no run fails by it, and it goes on when typed again."""


class Unwritable(Halted):
    """A folder takes no more: full, read-only, gone."""


class ClusterLost(Halted):
    """The cluster that had the operations done is gone."""


class MethodError(LthbenchError):
    """A method broke a rule. Its own row fails with this reason; the other runs go on."""


class OverBudget(MethodError):
    """The next operation would spend more than the suite's budget. Raised before it starts."""


class ValueLooked(LthbenchError):
    """A method looked at a value while it was being planned: from there on its plan is "at most"."""


class MissingEntry(LthbenchError):
    """The store does not hold (or no longer holds) an entry that an operation starts from."""

    def __init__(self, key: str):
        super().__init__(f"the store has no entry {key}")
        self.key = key

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self.key,)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The line for an unknown name: what was asked, did you mean, what there is."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no {what} {name!r}.{hint} Known: {', '.join(known) or 'none'}."
