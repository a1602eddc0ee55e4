"""Files that readers take away: tables for a paper, charts, event files for TensorBoard."""
