"""The speed of training on this machine, beside the limits of its memory and arithmetic and beside a plain PyTorch
loop."""
