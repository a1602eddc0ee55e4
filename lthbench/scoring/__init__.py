"""Statistics of the board: contrasts by seed, duels, verdicts, ranking, and the words that say them."""
