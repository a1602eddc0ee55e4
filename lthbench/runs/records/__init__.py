"""What comes out of a run: one JSON line each, how it is written, and the tables made from it."""
