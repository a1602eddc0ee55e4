"""Confine this process, import lthbench, and run the cells of a job."""

import json
import os
import resource
import sys

import landlock  # beside this file, which is run as part of a folder
import privileges
import seccomp
import watch


def main(path: str, pipe: int, supervisor: int) -> None:
    with open(path) as file:  # noqa: PTH123
        job = json.load(file)
    privileges.end_with(supervisor)
    for name, most in job["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    privileges.drop()
    landlock.confine(job["read"], job["list"], [job["folder"], "/dev/null"])
    seccomp.confine()
    os.chdir(job["folder"])
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    from lthbench.submission.verification.rerun import Rerun

    rerun = Rerun.ready(job)
    watch.watch(pipe, job["read"], job["folder"])
    rerun.run()
    watch.ended(pipe)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
