"""Operations on their way to a worker, and what goes wrong there on its way back."""

import errno
import pickle
import traceback
from pathlib import Path

from lthbench.errors import MethodError
from lthbench.methods import registry
from lthbench.methods.internals.operations import Operation

NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "could not create a primitive",
    "failed to map segment",
)


def pickled(operation: Operation) -> bytes:
    """An operation, with the method files that its rule or probe comes from. MethodError for one that cannot be sent."""
    trajectory = getattr(operation, "trajectory", None)
    thing = trajectory.rule if trajectory else getattr(operation, "probe", None)
    modules = [kind.__module__ for kind in type(thing).__mro__ if kind.__module__.startswith(registry.MODULES)]
    files = [str(registry.file_of(module)) for module in dict.fromkeys(reversed(modules))]
    try:
        return pickle.dumps((files, pickle.dumps(operation)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise MethodError(f"{type(thing).__name__} cannot be sent to a worker ({error}); define it in a file") from None


def unpickled(message: bytes) -> Operation:
    """The inverse: loads the method files first."""
    files, operation = pickle.loads(message)
    for file in files:
        registry.load(Path(file))
    return pickle.loads(operation)


def wrapped_exception(error: Exception) -> MethodError:
    """An exception of method, rule or probe code (or of a library), as one line that survives a pipe. Its traceback goes
    with it as a note."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    said = MethodError(f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
    said.add_note("In a worker: " + "".join(traceback.format_exception(error)).rstrip())
    return said


def out_of_memory(error: Exception) -> bool:
    """Whether the machine had no memory left, which is not the operation's doing. Python, its extensions, the loader,
    oneDNN and CUDA each say so in their own way; a SystemError is a C function that failed without a word, for want of memory as a rule.
    """
    if isinstance(error, MemoryError | SystemError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError | ImportError) and any(said in str(error) for said in NO_MEMORY)
