"""What commands print: progress, tables, the view of a run folder."""
