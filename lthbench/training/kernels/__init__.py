"""Kernels of our own for a GPU, in Triton. Each has a reference in torch's operations. The order of its sums is fixed."""
