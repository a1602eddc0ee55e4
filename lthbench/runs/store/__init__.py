"""The store: entries by key, traces of runs, file locks, and their maintenance."""
