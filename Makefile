# make demo    sets up .venv, fetches the models and runs the demo segment into demo-out/
# make test    sets up .venv with the test tools, then lint, format, types and tests
# make bench   the measurements behind docs/accuracy.md and docs/performance.md (long)
# make clean   removes what the above made
#
# Needs: make and a Python >= 3.11 (another one: make PYTHON=/path/to/python3). Everything else comes from the
# package registry that pip is set up for.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := demo
.PHONY: demo test bench clean

CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
RECENT := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c "$(RECENT)" 2>/dev/null && echo $$p && break; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export TURNWISE_MODELS ?= $(CURDIR)/.cache/models
export PIP_NO_INPUT = 1

demo: .venv/models
	$(BIN)/turnwise demo -o demo-out

test: .venv/models .venv/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: .venv/models .venv/tested
	for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python "$$bench"; done

clean:
	rm -rf .venv .cache demo-out build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Each stamp lies in .venv, so that removing .venv starts anew.
.venv/created:
	@test -n "$(PYTHON)" || { echo "turnwise: needs a Python >= 3.11 with venv; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(PIP) install --quiet --upgrade "pip>=25"
	@touch $@

.venv/installed: .venv/created pyproject.toml
	$(PIP) install --quiet --editable .
	@touch $@

.venv/tested: .venv/installed
	$(PIP) install --quiet --editable ".[dev]"
	@$(PIP) install --quiet --editable ".[score]" 2>.venv/score.log || \
	  echo "turnwise: the extra [score] did not install (it needs a C++ compiler; .venv/score.log says more): its tests are skipped"
	@touch $@

.venv/models: .venv/installed
	$(BIN)/turnwise models pull embedded
	@touch $@
