# make demo    sets up .venv, fetches the models and runs the demo segment into demo-out/
# make serve   sets up .venv with the service, fetches the models and serves the API on this machine
# make test    sets up .venv with the test tools, then lint, format, types and tests
# make fuzz-api   sends a live service what the OpenAPI document allows, and much more, for MINUTES=10
# make bench   runs the measurements behind the figures in docs/ (long)
# make clean   removes what the above created
#
# Needs: make and a Python >= 3.11 (another one: make PYTHON=/path/to/python3). Everything else comes from the
# package registry that pip is set up for.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := demo
.PHONY: demo serve test fuzz-api bench clean models

CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
RECENT := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c "$(RECENT)" 2>/dev/null && echo $$p && break; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export TURNWISE_MODELS ?= $(CURDIR)/.cache/models
export PIP_NO_INPUT = 1

demo: models
	$(BIN)/turnwise demo -o demo-out

serve: models .venv/serving
	$(BIN)/turnwise serve

test: models .venv/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

MINUTES := 10
fuzz-api: models .venv/tested
	$(BIN)/python -m tests.support.schemathesis_run --minutes $(MINUTES)

BENCHMARK := $(BIN)/python -m tests.benchmarks
SEGMENT := tests/data/demo
bench: export OPENBLAS_NUM_THREADS := 1
bench: models .venv/tested
	$(PIP) install -qq --requirement tests/benchmarks/requirements.txt
	$(PIP) install -qq --no-deps diarizationlm==0.1.5
	$(BENCHMARK).turns --seeds 1-20 --damage 0.2
	$(BENCHMARK).turns --segment $(SEGMENT)
	$(BENCHMARK).roles --seeds 1-20
	$(BENCHMARK).diarization --recording $(SEGMENT)/segment.opus
	$(BENCHMARK).telephone --asr pocketsphinx
	$(BENCHMARK).whisper clip --times 3 --threads 2
	$(BENCHMARK).pyannote speed --seconds 60 --threads 2
	$(BENCHMARK).performance --recording $(SEGMENT)/segment.opus --text $(SEGMENT)/supplied.txt
	$(BENCHMARK).performance --words 2000 20000 200000
	$(BENCHMARK).service latency --jobs 4 --requests 2000
	$(BENCHMARK).service events --readers 200
	$(BENCHMARK).service upload --gigabytes 2

clean:
	rm -rf .venv .cache demo-out turnwise-data build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Each stamp is in .venv, so that removing .venv starts afresh.
.venv/created:
	@test -n "$(PYTHON)" || { echo "turnwise: needs a Python >= 3.11 with venv; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(PIP) install -qq --upgrade "pip>=25"
	@touch $@

.venv/installed: .venv/created pyproject.toml
	$(PIP) install -qq --editable .
	@touch $@

.venv/serving: .venv/installed
	$(PIP) install -qq --editable ".[service]"
	@touch $@

# The tests run real Whisper and pyannote.audio (3.3 GB). Another build of torch: make test TORCH=...
TORCH ?= torch==2.13.0
.venv/tested: .venv/installed
	$(PIP) install -qq "$(TORCH)"
	$(PIP) install -qq --editable ".[dev,all,service,telemetry]"
	$(PIP) install -qq --editable ".[score]" 2>.venv/score.log || \
	  echo "turnwise: without the extra [score], which needs a C++ compiler (see .venv/score.log); its tests are skipped"
	@touch $@

models: .venv/installed
	@$(BIN)/turnwise models pull embedded
