"""The papers: one file each, with the sections of its report and the analyses that only it needs."""
