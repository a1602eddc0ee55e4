"""The lottery ticket theorems at work: a trained network found in a wider random one by pruning alone."""
