"""The ray executor, on a cluster of two nodes in processes of this machine."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lthbench.cli import main
from lthbench.data import DataHome
from lthbench.errors import InputError
from lthbench.runs.ray import executor as module
from lthbench.runs.ray.executor import RayExecutor
from lthbench.runs.records.record import Record, in_folder
from tests.processes import until
from tests.runs.given import given_suite
from tests.runs.helpers import METHODS, TINY, Outcome, drive, driver, method, ticket

cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]

MEMORY = 100_000_000  # bytes of a node's object store
HEAD = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a node beside it, one CPU each."""
    two = cluster_utils.Cluster(initialize_head=True, head_node_args=HEAD)
    two.add_node(num_cpus=1, object_store_memory=MEMORY)
    yield two
    two.shutdown()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    return drive(TINY, METHODS, tmp_path_factory.mktemp("undisturbed"), home)


def on(cluster: Any, out: Path, home: DataHome) -> Outcome:
    return drive(TINY, METHODS, out, home, executor="ray", address=cluster.address)


def test_the_same_results_as_here(cluster: Any, tmp_path: Path, home: DataHome, undisturbed: Outcome) -> None:
    done = on(cluster, tmp_path, home)
    assert done.results == undisturbed.results
    assert done.broker.counts == undisturbed.broker.counts
    assert not list((tmp_path / "store").glob("token-*"))


def test_where_workers_take_every_gpu_evaluation_has_its_place(
    cluster: Any, tmp_path: Path, home: DataHome, undisturbed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GPUs by name alone: the nodes are told that they have one, and the workers use the processor."""
    monkeypatch.setattr(module, "gpus_of", lambda place, share: share)
    own = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=MEMORY)
    try:
        done = on(cluster, tmp_path, home)
    finally:
        cluster.remove_node(own)
    assert done.results == undisturbed.results


@pytest.fixture
def unshared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that do not see the driver's folder."""
    check = RayExecutor._check_nodes

    def unseen(self: RayExecutor) -> None:
        (tmp_path / "store" / self.cluster_config.token).unlink()
        check(self)
        assert not self._here[module.SHARES]

    monkeypatch.setattr(RayExecutor, "_check_nodes", unseen)


@pytest.mark.usefixtures("unshared")
def test_without_a_shared_folder(cluster: Any, tmp_path: Path, home: DataHome, undisturbed: Outcome) -> None:
    assert on(cluster, tmp_path, home).results == undisturbed.results


@pytest.mark.usefixtures("unshared")
def test_a_model_in_a_file_and_a_pretrained_start_are_sent(cluster: Any, tmp_path: Path, home: DataHome) -> None:
    suite, methods = given_suite(tmp_path), [method(ticket)]
    there = drive(suite, methods, tmp_path, home, executor="ray", address=cluster.address)
    assert {record.result.status for record in there.records} == {"ok"}
    assert there.results == drive(suite, methods, tmp_path / "here", home).results


def test_a_node_that_goes_and_one_that_comes(
    cluster: Any, tmp_path: Path, home: DataHome, undisturbed: Outcome
) -> None:
    extra = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    done: list[Record] = []

    def disturb(record: Record) -> None:
        done.append(record)
        if len(done) == 3:
            cluster.remove_node(extra, allow_graceful=False)
            cluster.add_node(num_cpus=1, object_store_memory=MEMORY)

    driver(TINY, METHODS, tmp_path, home, executor="ray", address=cluster.address).run(disturb)
    assert {record.run_id: record.result.model_dump() for record in done} == undisturbed.results


HASTY = """
from lthbench.cli import main
from lthbench.runs.ray import connection
connection.LOOK = 0.05
main()
"""


def test_a_head_that_is_lost_stops_the_suite(tmp_path: Path, data_folder: Path) -> None:
    own = cluster_utils.Cluster(initialize_head=True, head_node_args=HEAD)
    words = ["run", "digits", "--executor", "ray", "--address", own.address, "--out", "out", "--data", str(data_folder)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HASTY, *words], cwd=tmp_path, **pipes) as suite:
        try:
            assert until(lambda: bool(list(tmp_path.glob("out/logs/*/*"))), 120)
            own.head_node.kill_gcs_server(check_alive=False)
            said, errors = suite.communicate(timeout=50)  # seconds: sooner than Ray ends it
        finally:
            suite.kill()
            own.shutdown()
    assert (suite.returncode, said) == (2, "")
    last = errors.splitlines()[-1]
    assert re.fullmatch(r"lthbench: the head of the Ray cluster, .*, has not answered for 0\.3 s; .* to go on", last)
    assert not [record for record in records(tmp_path / "out") if record.result.status != "ok"]


def records(out: Path) -> list[Record]:
    """Those of a suite that was stopped; there may be none yet."""
    return in_folder(out) if (out / "records").exists() else []


def test_a_node_that_differs_is_said_at_once(
    cluster: Any, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "__version__", "0.0")
    with pytest.raises(InputError, match=r"node .* differs in lthbench: .* there, '0.0' here"):
        driver(TINY, [method(ticket)], tmp_path, home, executor="ray", address=cluster.address).run()


def test_a_cluster_without_gpus_is_one_line(
    cluster: Any, tmp_path: Path, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "gpus_of", lambda place, share: share)
    with pytest.raises(InputError, match="no node of the Ray cluster has a GPU; start one"):
        driver(TINY, [method(ticket)], tmp_path, home, executor="ray", address=cluster.address).run()


def test_no_cluster_is_one_line(tmp_path: Path, data_folder: Path) -> None:
    words = ["run", "smoke", "--executor", "ray", "--address", "127.0.0.1:1", "--out", str(tmp_path), "--data"]
    ended = CliRunner().invoke(main, [*words, str(data_folder)])
    assert ended.exit_code == 2
    assert "no Ray cluster at 127.0.0.1:1" in ended.output
