#!/bin/sh
# All that should be done where a GPU is at hand: correctness first, then speed, then suites. Call it again to go on.
#   sh tests/gpu.sh FOLDER [SECONDS] [DEVICE]     (by default 560 seconds, on cuda; cpu tries the script itself)
# FOLDER gets log, steps.json, table.md, measurements and records. On cpu, or with GPU_SHORT=1, there is less of everything.
# Suites read packed data from LTHBENCH_DATA. Wheels in .whl/ are installed into FOLDER where a library is missing:
#   python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 -d .whl pydantic pydantic-core \
#       annotated-types typing-inspection hypothesis sortedcontainers pytest-timeout
set -eu
cd "$(dirname "$0")/.."
folder=${1:-gpu}
mkdir -p "$folder"
if ! python3 -c 'import pydantic, hypothesis, pytest_timeout' 2>/dev/null && ls .whl/*.whl >/dev/null 2>&1; then
    python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$folder/site" .whl/*.whl
fi
PYTHONPATH="$PWD:$folder/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TORCH_SHOW_CPP_STACKTRACES=0
export PYTHONPATH PYTHONUNBUFFERED TORCH_SHOW_CPP_STACKTRACES
exec python3 -m tests.gpu.steps "$folder" --seconds "${2:-560}" --device "${3:-cuda}"
