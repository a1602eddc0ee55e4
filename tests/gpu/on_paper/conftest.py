"""These tests are collected on the GPU on paper, by `tests/gpu/test_on_paper.py`; on a GPU, those that need no books."""

import os

import torch

if "PAPER_SO" in os.environ:
    collect_ignore_glob: list[str] = []
elif torch.cuda.is_available():
    collect_ignore_glob = ["test_[!s]*.py"]
else:
    collect_ignore_glob = ["test_*.py"]
