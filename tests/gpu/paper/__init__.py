"""The GPU on paper: stubs of the CUDA runtime, cuBLAS and cuDNN under which torch's CUDA build runs without a GPU."""
