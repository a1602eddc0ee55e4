"""The settings for training on a GPU. They come from a table of measurements and are decided only here."""

from dataclasses import dataclass

STREAMS = 32  # that torch has for a device, and so the most trainings at once in a process


@dataclass(frozen=True)
class GpuSettings:
    """Settings for trainings that share a GPU. No setting changes a bit of a result.

    `graphs`: replay steps as CUDA graphs; without it, the plain trainer does every training. `most`: the maximum number
    of trainings at once on one GPU. `share`: the share of its free memory that they may take together.
    """

    graphs: bool = True
    most: int = 16
    share: float = 0.8


GPU_SETTINGS = GpuSettings()
