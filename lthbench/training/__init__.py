"""One training: its recipe, its schedule, the trainer, and what rules and probes may do inside and beside it."""
