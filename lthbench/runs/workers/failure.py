"""The failure of an operation: whether it is the operation's own, or that of the worker."""

from lthbench.errors import LthbenchError
from lthbench.runs.workers.serialization import out_of_memory, wrapped_exception
from lthbench.runs.workers.worker import Lost, Worker


def failure(worker: Worker, error: Exception) -> Exception:
    """Return what the driver is told of an exception: an error of the operation, or Lost if the worker has to end."""
    if isinstance(error, Lost):
        return error
    if why := worker.spoilt or worker.fault():
        return error if worker.spoilt and isinstance(error, LthbenchError) else Lost(f"{why}; {error}")
    if isinstance(error, LthbenchError):
        return error
    return Lost(f"out of memory: {error}") if out_of_memory(error) else wrapped_exception(error)
