"""What a run keeps behind its facade: the cell, the ledger, the pipeline, the operations. Not for authors."""
