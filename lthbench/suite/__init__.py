"""Suites: what they say, their workloads, and trials of them."""

from lthbench.suite.suite import FOLDER, MODELS, MOST_RUNS, Cell, Suite, Track, in_folder, names, problems
from lthbench.suite.workload import Workload

__all__ = ["FOLDER", "MODELS", "MOST_RUNS", "Cell", "Suite", "Track", "Workload", "in_folder", "names", "problems"]
