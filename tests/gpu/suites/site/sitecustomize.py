"""Make values plausible in every process of a suite on the GPU on paper: see `tests/gpu/suites/plausible.py`."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any


class Late(MetaPathFinder):
    """Wait for the module of workers: an interpreter that needs no torch does not import it."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name == "lthbench.runs.workers.worker.worker":
            sys.meta_path.remove(self)
            from tests.gpu.suites import plausible

            plausible.set_up()


sys.meta_path.insert(0, Late())
