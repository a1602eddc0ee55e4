"""Constructions from the lottery ticket theorems: they find a trained network in a wider random one by pruning alone."""
