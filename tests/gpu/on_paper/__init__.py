"""Tests that run on the GPU on paper, or on a GPU where they need no books."""
