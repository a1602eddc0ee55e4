"""Data sets: each is packed once into a folder of plain arrays. Processes that may read it map it into memory."""

from lthbench.data.home import DataHome, default_folder, described, prepare
from lthbench.data.packed.examples import EncodedExamples, Examples, Manifest
from lthbench.data.split import holdout

__all__ = ["DataHome", "EncodedExamples", "Examples", "Manifest", "default_folder", "described", "holdout", "prepare"]
