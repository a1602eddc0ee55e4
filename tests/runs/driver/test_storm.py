"""Real runs through random faults. The slow ones are many: `pytest -m slow tests/runs/driver/test_storm.py -s`."""

import random
from pathlib import Path

import pytest

from lthbench.data import DataHome
from tests.runs.driver.storm import SUITE, Storm, small_disk, whole
from tests.runs.helpers import METHODS, Outcome, drive


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, home: DataHome) -> Outcome:
    done = drive(SUITE, METHODS, tmp_path_factory.mktemp("undisturbed"), home)
    assert {record.result.status for record in done.records} == {"ok"}
    return done


def weathered(folder: Path, home: DataHome, undisturbed: Outcome, seed: int, faults: int) -> Storm:
    folder.mkdir()
    with small_disk(folder):
        storm = Storm(folder / "out", home, random.Random(seed))
        storm.weather(faults)
        assert storm.results() == undisturbed.results
        whole(storm.out)
        assert not [end for end in storm.ends if end.startswith("exit")], storm.ends
        return storm


@pytest.mark.parametrize("seed", range(2))
def test_a_few_faults(tmp_path: Path, home: DataHome, undisturbed: Outcome, seed: int) -> None:
    weathered(tmp_path / "disk", home, undisturbed, seed, 8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 125))
def test_many_faults(tmp_path: Path, home: DataHome, undisturbed: Outcome, seed: int) -> None:
    storm = weathered(tmp_path / "disk", home, undisturbed, seed, 24)
    needed = undisturbed.broker.counts.operations
    print(seed, dict(storm.faults), dict(storm.ends), f"{storm.computed} operations for {needed}")
