"""Verify a bundle: from its files, by evaluating its networks, by running its method again in a sandbox."""
