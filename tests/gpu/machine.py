"""Print what the device and the libraries are."""

import sys

import torch

from lthbench.training import numerics

device = torch.device(sys.argv[1])
numerics.set_up(device)
for name, value in numerics.environment(device).items():
    print(f"{name}: {value}")
if device.type == "cuda":
    print("free of bytes:", *torch.cuda.mem_get_info(device))
