"""The marks of a table of means: which method of a cell is shown to be best, and which are shown to tie with it."""

from collections.abc import Callable, Mapping
from typing import Literal

Mark = Literal["best", "tied"]


def marks(means: Mapping[str, float], outcome: Callable[[str, str], str]) -> dict[str, Mark]:
    """Return the marks of a cell by method; methods without a mark are left out.

    means: mean accuracy in percent by method.
    outcome: the outcome of the duel of two methods in the cell: the name of the winner, "tie", or another word.

    The leader has the highest mean. It is "best" if its duels show it ahead of at least one other method, and ahead of or
    tied with every other. That is an intersection of tests, so it is wrong no more often than one duel. A method that
    is shown to tie with the leader is "tied", also where the leader is not shown to be best.
    """
    leader = max(means, key=lambda method: means[method])
    outcomes = {method: outcome(leader, method) for method in means if method != leader}
    found: dict[str, Mark] = {method: "tied" for method, said in outcomes.items() if said == "tie"}
    if leader in outcomes.values() and set(outcomes.values()) <= {leader, "tie"}:
        found[leader] = "best"
    return found
