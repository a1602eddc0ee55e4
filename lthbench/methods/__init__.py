"""The objects that the author of a method uses: the run, networks, criteria and the registry."""
