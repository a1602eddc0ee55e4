"""Data sets: packed once into a folder of plain arrays, then mapped into memory by the processes that may read them."""

from lthbench.data.home import DataHome, default_folder, described, prepare
from lthbench.data.packed.examples import Examples, Manifest
from lthbench.data.split import holdout

__all__ = ["DataHome", "Examples", "Manifest", "default_folder", "described", "holdout", "prepare"]
