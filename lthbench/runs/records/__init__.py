"""Records of runs: one JSON line a run, the writer, and the tables made from them."""
