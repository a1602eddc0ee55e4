"""From a suite to records: runs, their ledger, the store, the driver, and the executors that do the work."""
