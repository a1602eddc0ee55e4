"""A suite that is over keeps no run alive: a process that runs suite after suite must not grow."""

import gc
from pathlib import Path

from lthbench import Network
from lthbench.data import DataHome
from lthbench.methods.internals.context import RunContext
from lthbench.runs.driver.session import Session
from tests.runs.helpers import ONE, drive, method, ticket

KEPT = Session, RunContext, Network


def alive() -> list[int]:
    gc.collect()
    return [sum(type(thing) is kind for thing in gc.get_objects()) for kind in KEPT]


def test_a_suite_that_is_over_keeps_no_run_and_no_network_alive(tmp_path: Path, home: DataHome) -> None:
    before = alive()
    drive(ONE, [method(ticket)], tmp_path, home)
    assert alive() == before
