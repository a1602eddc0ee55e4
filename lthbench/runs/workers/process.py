"""A worker process on this machine: its main function, and its handle in the driver."""

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing import spawn
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any

from lthbench import system
from lthbench.methods.internals.operations import Operation
from lthbench.runs.workers.failure import failure
from lthbench.runs.workers.heartbeat import BEAT, Heartbeat
from lthbench.runs.workers.serialization import pickled, unpickled, wrapped_exception
from lthbench.runs.workers.worker import Lost, Reply, Retired, Worker
from lthbench.runs.workers.worker_config import WorkerConfig
from lthbench.training import numerics

_starting = threading.Lock()  # a process forked meanwhile would hold the ends of another one's pipes


class Process:
    """A worker process that has been started. It takes as many operations at once as its configuration has slots."""

    def __init__(self, context: BaseContext, config: WorkerConfig, splits: frozenset[str]):
        self.config, self.dead = config, False
        self._retired: Retired | None = None
        with _starting:
            self._connection, there = context.Pipe()
            lifeline, self._lifeline = context.Pipe(duplex=False)  # held open by the driver alone
            ends = (there, lifeline, config, splits, (self._connection, self._lifeline), dict(os.environ))
            self.process = context.Process(target=main, args=ends, daemon=True)  # type: ignore[attr-defined]
            with _without_main(), system.deaf_to_ctrl_c():
                self.process.start()
            there.close()
            lifeline.close()
        self._lock, self._tags = threading.Lock(), count()
        self._waiting: dict[int, Future[Reply]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, operation: Operation, alone: bool = False) -> Reply:
        message, future = pickled(operation), Future[Reply]()
        with self._lock:
            if self.dead:
                raise self._gone("it had ended before")
            tag = next(self._tags)
            self._waiting[tag] = future
            with suppress(OSError):  # it has just ended, which the listener finds out too
                self._connection.send((tag, message, alone))
        return future.result()

    def near(self, operation: Operation) -> bool:
        return False  # all entries are on this machine

    def end(self) -> None:
        self.process.kill()
        self.process.join(10)

    def _listen(self) -> None:
        heartbeat = Heartbeat()
        try:
            while True:
                if self._connection.poll(BEAT):
                    tag, reply = self._connection.recv()
                    if tag is None:
                        heartbeat.felt(reply, bool(self._waiting))
                        continue
                    self._retired = reply if isinstance(reply, Retired) else self._retired
                    future = self._waiting.pop(tag)
                    if isinstance(reply, BaseException):
                        future.set_exception(reply)
                    else:
                        future.set_result(reply)
                else:
                    heartbeat.missed()
        except Exception as error:
            self._bury(error)

    def _bury(self, error: Exception) -> None:
        """End the process. Its operations are lost."""
        with self._lock:
            self.dead = True
        self.end()
        why = str(error) if isinstance(error, Lost) else _ended(self.process.exitcode)
        for future in self._waiting.values():
            future.set_exception(self._gone(why))

    def _gone(self, why: str) -> Lost:
        """Return the error of an operation that this worker will not do."""
        return Retired(why) if self._retired else Lost(why)


@contextmanager
def _without_main() -> Iterator[None]:
    """Start a process without the driver's main module, which a new interpreter would run again.

    So a script needs no `if __name__ == "__main__"`, and a driver may read from standard input. The pool refuses
    operations that name the main module.
    """
    described = spawn.get_preparation_data

    def without_main(name: str) -> dict[str, Any]:
        data = described(name)
        return {key: value for key, value in data.items() if not key.startswith("init_main_from_")}

    spawn.get_preparation_data = without_main  # the module itself stays: other threads look at it meanwhile
    try:
        yield
    finally:
        spawn.get_preparation_data = described


def _ended(code: int | None) -> str:
    """Say in words how a process ended."""
    if code is None or code >= 0:
        return f"it ended with exit code {code}"
    return f"it was ended by {signal.Signals(-code).name}"


def main(
    connection: Connection,
    lifeline: Connection,
    config: WorkerConfig,
    splits: frozenset[str],
    drivers: tuple[Connection, ...],
    environment: dict[str, str],
) -> None:
    """Take operations and send replies, until the driver is gone."""
    system.ignore_ctrl_c()
    os.environ.clear()  # a server of forks has the environment of the time when it started
    os.environ.update(environment)
    for end in drivers:
        end.close()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    worker, sending, ending = config.worker(splits), threading.Lock(), threading.Event()

    def send(content: bytes) -> None:
        with sending:
            connection.send_bytes(content)

    def answer(tag: int, message: bytes, alone: bool) -> None:
        reply = _reply(worker, message, alone)
        send(_sendable(tag, reply))
        if isinstance(reply, Lost):
            os._exit(1)

    def beat() -> None:
        while not ending.wait(BEAT):
            send(pickle.dumps((None, worker.turns.served)))

    threading.Thread(target=beat, daemon=True).start()
    with ThreadPoolExecutor(config.slots, initializer=numerics.set_up, initargs=(worker.device,)) as threads:
        while True:
            try:
                request = connection.recv()
            except (EOFError, OSError):
                ending.set()
                return
            threads.submit(answer, *request)


def _reply(worker: Worker, message: bytes, alone: bool) -> Any:
    try:
        with worker.turns:
            operation = unpickled(message, evaluates="test" in worker.home.splits)
        return worker.perform(operation, alone)
    except Exception as error:
        return failure(worker, error)


def _sendable(tag: int, reply: Any) -> bytes:
    try:
        return pickle.dumps((tag, reply))
    except Exception as error:
        return pickle.dumps((tag, wrapped_exception(error)))


def _end_with(lifeline: Connection) -> None:
    """End the worker when the driver's end of the pipe closes."""
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)
