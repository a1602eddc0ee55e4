"""Tools for authors: a first method file, and the checks that every method has to pass."""
