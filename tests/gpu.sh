#!/bin/sh
# All that should be done where a GPU is at hand: correctness first, then speed, then suites. Call it again to go on.
#   sh tests/gpu.sh FOLDER [SECONDS] [DEVICE]     (by default 560 seconds, on cuda; cpu tries the script itself)
# FOLDER gets log, steps.json, table.md, measurements and records, and FOLDER.tgz all of it in one file. Where there is
# FOLDER.tgz alone, the script goes on from it. On cpu, or with GPU_SHORT=1, there is less of everything.
# Suites read packed data from LTHBENCH_DATA. Wheels in .whl/ are installed into FOLDER.site where a library is missing:
#   python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 -d .whl pydantic pydantic-core \
#       typing-extensions annotated-types typing-inspection hypothesis sortedcontainers pytest-timeout
set -eu
cd "$(dirname "$0")/.."
folder=${1:-gpu}
folder=${folder%/}
if [ ! -d "$folder" ] && [ -f "$folder.tgz" ]; then
    mkdir -p "$folder"
    tar -xzf "$folder.tgz" -C "$folder"
fi
mkdir -p "$folder"
PYTHONPATH="$PWD:$folder.site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TORCH_SHOW_CPP_STACKTRACES=0
export PYTHONPATH PYTHONUNBUFFERED TORCH_SHOW_CPP_STACKTRACES
needed='import pydantic, hypothesis, pytest_timeout, lthbench'
if ! python3 -c "$needed" 2>/dev/null && ls .whl/*.whl >/dev/null 2>&1; then
    python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$folder.site" .whl/*.whl
fi
if ! why=$(python3 -c "$needed" 2>&1); then
    echo "a library is missing: $(echo "$why" | tail -n 1); add its wheel to .whl/ as the first lines of tests/gpu.sh say" >&2
    exit 2
fi
code=0
python3 -m tests.gpu.steps "$folder" --seconds "${2:-560}" --device "${3:-cuda}" || code=$?
tar -czf "$folder.tgz" -C "$folder" .
exit $code
