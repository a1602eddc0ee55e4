"""Plans: the operations of every run, what they share and what they cost, before any work."""
