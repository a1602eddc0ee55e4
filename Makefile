PYTHON ?= python3
BIN := .venv/bin
CPUS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

.PHONY: demo test docs gpu board clean

demo: .venv/installed  ## Run the digits suite and build its board: two to three minutes on two cores.
	$(BIN)/lthbench run suites/digits.toml
	$(BIN)/lthbench board runs/digits

test: .venv/installed  ## Lint, types, documents, tests.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	$(BIN)/python -m pytest -n $(CPUS) --dist loadfile

docs: .venv/installed  ## Serve the documents on this machine.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

gpu: .venv/installed  ## Check and measure the GPU of this machine: ten minutes a call, and the next call goes on.
	PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/gpu.sh runs/gpu

board: .venv/installed  ## Build the published leaderboard from the committed records.
	$(BIN)/lthbench board leaderboard

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lthbench needs Python 3.11 or newer, this is %s; type make PYTHON=python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv runs
