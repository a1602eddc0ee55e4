"""The serialization of operations for workers, and of errors for drivers."""

import errno
import pickle
import sys
import traceback
from pathlib import Path

from lthbench.errors import MethodError
from lthbench.methods import registry
from lthbench.methods.internals.operations import Judgement, Operation
from lthbench.runs.workers import plain

NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "could not create a primitive",
    "failed to map segment",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def pickled(operation: Operation) -> bytes:
    """Write an operation, with the method files that its rule or probe comes from. MethodError for one that cannot be sent.

    Evaluations are written as plain data, because an evaluator holds test data and must not unpickle objects of a method.
    """
    if isinstance(operation, Judgement):
        return pickle.dumps(([], plain.dumped(operation)))
    trajectory = getattr(operation, "trajectory", None)
    thing = trajectory.rule if trajectory else getattr(operation, "probe", None)
    modules = [kind.__module__ for kind in type(thing).__mro__ if kind.__module__.startswith(registry.MODULES)]
    files = [str(registry.file_of(module)) for module in dict.fromkeys(reversed(modules))]
    try:
        return pickle.dumps((files, pickle.dumps(operation)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise MethodError(f"{type(thing).__name__} cannot be sent to a worker ({error}); define it in a file") from None


def unpickled(message: bytes, evaluates: bool = False) -> Operation:
    """Read the output of `pickled`, after loading the method files. A process that `evaluates` reads plain data alone."""
    files, content = pickle.loads(message)
    if not evaluates:
        for file in files:
            registry.load(Path(file))
    return operation_of(content, evaluates)


def operation_of(content: bytes, evaluates: bool) -> Operation:
    """Read an operation. MethodError for a pickle where only plain data is allowed."""
    if content.startswith(b"{"):
        return plain.loaded(content)
    if evaluates:
        raise MethodError("an evaluator received an operation that is not an evaluation; it does nothing else")
    operation: Operation = pickle.loads(content)
    return operation


def wrapped_exception(error: Exception) -> MethodError:
    """Turn an exception of method, rule, probe or library code into a one-line error that can be sent through a pipe.

    Its traceback is attached as a note.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = author_line(error) or f"{Path(frame.filename).name}:{frame.lineno}"
    said = MethodError(f"{type(error).__name__}: {error} ({where})")
    said.add_note("In a worker: " + "".join(traceback.format_exception(error)).rstrip())
    return said


def with_author_line(error: MethodError) -> MethodError:
    """Return an error of lthbench with the line of the author's file that it came through, unless it names the file."""
    where = author_line(error)
    return MethodError(f"{error} ({where})") if where and where.partition(":")[0] not in str(error) else error


def author_line(error: Exception) -> str:
    """Return the innermost line of a method file that an error came through, `mine.py:9`; "" where there is none."""
    files = {str(module.__file__) for name, module in list(sys.modules.items()) if name.startswith(registry.MODULES)}
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{Path(lines[-1].filename).name}:{lines[-1].lineno}" if lines else ""


def out_of_memory(error: Exception) -> bool:
    """Say whether an error means that the machine ran out of memory, which is not the operation's fault.

    Python, its extensions, the loader, oneDNN and CUDA each have their own message. A SystemError is a C function that
    failed without a message, usually because it ran out of memory.
    """
    if isinstance(error, MemoryError | SystemError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError | ImportError) and any(said in str(error) for said in NO_MEMORY)
