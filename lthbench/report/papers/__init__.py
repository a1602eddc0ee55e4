"""One file a paper: the sections of its report, and the analyses that only it needs."""
