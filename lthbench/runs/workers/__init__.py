"""Workers, the processes that they run in, and the executors that hand out operations."""
