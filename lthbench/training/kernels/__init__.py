"""Kernels of our own for a GPU, in Triton. Each has a reference in torch's operations beside it, and no free order of sums."""
