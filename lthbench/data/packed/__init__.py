"""Packed data sets: arrays on disk, their manifest, and the examples mapped from them."""
