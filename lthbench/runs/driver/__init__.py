"""The driver runs the methods of a suite. Its broker has every operation done once."""
