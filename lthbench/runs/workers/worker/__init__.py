"""The worker: it does one operation after another, in any process and under every executor."""

from lthbench.runs.workers.worker.reply import Lost, Reply, Retired
from lthbench.runs.workers.worker.worker import Worker

__all__ = ["Lost", "Reply", "Retired", "Worker"]
