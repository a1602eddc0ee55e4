"""Statistics of the board: contrasts by seed, duels, verdicts and rankings, and their words."""
