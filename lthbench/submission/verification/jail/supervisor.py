"""Start a confined process, watch it, and end it when it breaks a limit, or when the verifier is gone.

`supervisor.py JOB` takes the end of its standard input for the end of the verifier: then it ends the process and removes
the job's folder. What became of the process is written to standard output as JSON.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

import mounts  # beside this file, which is run as part of a folder
import tidy
import usage

PAUSE = 0.2  # seconds between two looks
TOLD = 65536  # bytes that are read of what a process tells


def main(path: str) -> None:
    with open(path) as file:  # noqa: PTH123
        job = json.load(file)
    try:
        mounts.expose(job["expose"])
    except OSError as error:
        print(json.dumps({"refused": f"{error.strerror or error}"}), flush=True)
        return
    process, reading = _started(job, path)
    ended = _watched(process, job)
    process.kill()
    process.wait()
    if ended == "the verifier ended":
        tidy.remove(job["outer"])
        return
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb") as pipe:
        told = (pipe.read(TOLD) or b"").decode(errors="replace").splitlines()
    print(json.dumps({"ended": ended, "code": process.returncode, "told": told}), flush=True)


def _started(job: dict[str, Any], path: str) -> "tuple[subprocess.Popen[bytes], int]":
    reading, writing = os.pipe()
    jail = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    command = [sys.executable, "-s", jail, path, str(writing), str(os.getpid())]
    who: dict[str, Any] = {} if job["user"] is None else {"user": job["user"], "group": job["user"], "extra_groups": []}
    with open(os.path.join(job["outer"], "said"), "wb") as said:  # noqa: PTH118, PTH123
        process = subprocess.Popen(
            command, cwd=job["folder"], stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=(writing,),
            start_new_session=True, **who,
        )  # fmt: skip
    os.close(writing)
    return process, reading


def _watched(process: "subprocess.Popen[bytes]", job: dict[str, Any]) -> str | None:
    """Wait for a process; say what ended it, if it did not end by itself."""
    end = time.monotonic() + job["seconds"]
    while process.poll() is None:
        if select.select([0], [], [], PAUSE)[0] and not os.read(0, 1):
            return "the verifier ended"
        if time.monotonic() > end:
            return f"it was still running after {job['seconds']} s"
        if broken := usage.excess(process.pid, job["outer"], job["disk"]):
            return broken
    return None


signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
main(sys.argv[1])
