"""These tests are collected on the GPU on paper alone, by `tests/gpu/test_on_paper.py`."""

import os

collect_ignore_glob = [] if "PAPER_SO" in os.environ else ["test_*.py"]
