"""Policies for keeping the networks of a run folder, for `run --keep` and `store clean --keep`."""

from typing import Literal, get_args

Keep = Literal["nothing", "masks", "finals", "all"]
RUN_KEEPS: tuple[Keep, ...] = get_args(Keep)[1:]
CLEAN_KEEPS: tuple[Keep, ...] = get_args(Keep)[:-1]

DROPPED: dict[Keep, tuple[str, ...]] = {
    "nothing": ("states", "curves", "finals", "values", "tensors", "traces"),
    "masks": ("states", "curves", "finals"),
    "finals": ("states", "curves"),
    "all": (),
}
"""The kinds of store entries that a policy drops, least kept first."""
