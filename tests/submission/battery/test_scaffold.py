"""Templates of method files: each loads as it is written, and its method runs."""

from pathlib import Path

import pytest

from lthbench.methods import registry
from lthbench.runs.driver.job import Job
from lthbench.submission.battery.allowed import refused
from lthbench.submission.battery.scaffold import TEMPLATES, scaffold
from lthbench.suite import Suite


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_runs_without_changes(kind: str, tmp_path: Path, data_folder: Path) -> None:
    file = scaffold(f"my-{kind}", tmp_path, kind)
    own = registry.find(str(file))
    one = Suite.read("smoke").model_copy(update={"seeds": 1, "sparsities": (0.8,)})
    driver = Job.make(one, [own], data_folder, only=True, device="cpu").driver(
        tmp_path, executor="serial", start="fork"
    )
    driver.run()
    [record] = driver.records
    del registry.METHODS[own.name]
    assert record.result.status == "ok", record.result.reason
    assert own.name == f"my-{kind}" and own.about and not refused(file)
