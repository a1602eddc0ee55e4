"""The lottery ticket theorems at work: find a trained network in a wider random one by pruning alone."""
