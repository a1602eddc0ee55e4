"""Print the kernels of 20 steps of one training, by their time on the device."""

import sys
from contextlib import closing

import torch
from torch.profiler import ProfilerActivity, profile

from lthbench.training import numerics
from lthbench.training.gpu.graph_trainer import GraphTrainer
from tests.gpu.trainings import feed, start, trajectory

STEPS = 20


def main(device: torch.device, model: str) -> None:
    numerics.set_up(device)
    data = feed(2560, device=device)
    t = trajectory(model, data, batch=128)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with closing(GraphTrainer(t, start(t), 0, data)) as one:
        one.prepare()
        with profile(activities=activities) as found:
            one.run([STEPS], lambda *_: None)
    column = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=column, row_limit=60, max_name_column_width=100))


if __name__ == "__main__":
    main(torch.device(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "resnet20")
