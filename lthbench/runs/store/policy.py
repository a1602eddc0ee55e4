"""Policies for keeping the networks of a run folder: one list, for `run --keep` and `store clean --keep`."""

from typing import Literal, get_args

Keep = Literal["nothing", "masks", "finals", "all"]
KEEPS: tuple[Keep, ...] = get_args(Keep)

DROPPED: dict[Keep, tuple[str, ...]] = {
    "nothing": ("states", "finals", "curves", "values", "tensors", "traces"),
    "masks": ("states", "finals"),
    "finals": ("states",),
    "all": (),
}
"""The kinds of store entries that a policy drops, least kept first."""
