"""Masks, scores, bases and the state of a network: everything that pruning works on."""
