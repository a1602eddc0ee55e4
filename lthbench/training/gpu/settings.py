"""How a GPU runs the steps of a training: decided here, from a table of measurements, and nowhere else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GpuSettings:
    """`graphs`: a lane replays its step as a CUDA graph; without, every training is done by the plain trainer.

    `most`: trainings at once on one GPU, at most; `share`: of its free memory, what they may take together. None of these
    changes a bit of a result.
    """

    graphs: bool = True
    most: int = 16
    share: float = 0.8


GPU_SETTINGS = GpuSettings()
