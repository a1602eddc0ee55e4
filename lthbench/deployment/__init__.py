"""The pruned network outside of lthbench: files for other libraries, and its measured latency."""
