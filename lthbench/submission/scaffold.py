"""A method file to start from."""

import re
from pathlib import Path

from lthbench.errors import InputError
from lthbench.runs.store import write_whole

TEMPLATE = '''"""One line on what {name} does. Author, venue, arXiv number. Cost: 2T epochs."""

from lthbench import Network, Run, alive, method


@method("{name}", cost="2T", at_zero="dense", cite="")
def {function}(run: Run) -> Network:
    init = run.init()
    dense = run.train(init)
    scores = alive(dense, {{name: w.abs() for name, w in dense.prunable.items()}})  # higher stays: your idea goes here
    return run.train(init.masked(run.select(scores)))
'''


def scaffold(name: str, folder: Path) -> Path:
    """Write `<name>.py`, which runs as it is. InputError for a name that is none, or a file that is there already."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name.replace("_", "-")):
        raise InputError(f"{name!r} is no method name; use small letters, digits and hyphens: my-method")
    function = name.replace("-", "_")
    path = folder / f"{function}.py"
    if path.exists():
        raise InputError(f"{path} exists already; choose another name, or edit it")
    write_whole(path, TEMPLATE.format(name=name.replace("_", "-"), function=function).encode())
    return path
