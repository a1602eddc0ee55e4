"""One training: its recipe, its schedule, the trainer, and the rules and probes that act inside and beside it."""
