"""The machinery behind the facade of a run: the cell, the ledger, the pipeline, the operations. Not for authors."""
