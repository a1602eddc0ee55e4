"""Training on a GPU: one CUDA graph for a whole step, and the settings that govern it."""
