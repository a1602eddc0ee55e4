"""Bundles: what a submission is made of, how it is written, and how it is read without running its code."""
