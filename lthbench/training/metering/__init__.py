"""Count what networks see, and bound what goes into a worker and comes out of it."""
