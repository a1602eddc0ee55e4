"""The output of commands: progress, tables, the view of a run folder."""
