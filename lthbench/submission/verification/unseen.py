"""Seeds and permutations that no author has seen."""

import random

FIRST, LAST = 1_000_000, 2**31 - 1  # suites have seeds from 0 on


def seed(rng: random.Random) -> int:
    """Draw a seed that no suite has."""
    return rng.randint(FIRST, LAST)


def permutation(classes: int, rng: random.Random) -> list[int]:
    """Draw a permutation of the classes that leaves none where it was (Sattolo 1986)."""
    order = list(range(classes))
    for last in range(classes - 1, 0, -1):
        other = rng.randrange(last)
        order[last], order[other] = order[other], order[last]
    return order
