"""What the author of a method holds: the run, networks, criteria, the registry."""
