#!/bin/sh
# All that should be done where a GPU is at hand: correctness first, then speed, then suites. Call it again to go on.
#   sh tests/gpu.sh FOLDER [SECONDS] [DEVICE]     (by default 560 seconds, on cuda; cpu tries the script itself)
# FOLDER gets log, steps.json, measurements and records. Wheels in .whl/ are installed beside it where pydantic is missing:
#   python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 -d .whl pydantic==V pydantic-core==V ...
set -eu
cd "$(dirname "$0")/.."
folder=${1:-gpu}
mkdir -p "$folder"
if ! python3 -c 'import pydantic' 2>/dev/null && ls .whl/*.whl >/dev/null 2>&1; then
    python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$folder/site" .whl/*.whl
fi
PYTHONPATH="$PWD:$folder/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TORCH_SHOW_CPP_STACKTRACES=0
export PYTHONPATH PYTHONUNBUFFERED TORCH_SHOW_CPP_STACKTRACES
exec python3 -m tests.gpu.steps "$folder" --seconds "${2:-560}" --device "${3:-cuda}"
