"""The route of a method from its author to the board."""
