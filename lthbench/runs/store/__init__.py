"""What is kept: entries by key, traces of runs, file locks, and the maintenance of all of them."""
