"""A paper's claim beside what was measured here: one file a paper, its published numbers as data in `published/`."""
