# Every target makes and uses .venv; nothing else has to be installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS ?= 1

.PHONY: repro test test-slow check smoke bench bench-cartpole clean

repro: $(VENV)/ready  ## the whole pipeline on the embedded default
	dvc repro
	headstart report

test: $(VENV)/ready  ## all tests but the slow ones
	pytest -m "not slow"

test-slow: $(VENV)/ready  ## the long runs
	pytest -m slow

check: $(VENV)/ready  ## lint, format and types
	ruff check
	ruff format --check
	mypy

smoke: $(VENV)/ready  ## every stage on tiny settings, in a temporary clone
	pytest tests/stages/test_smoke.py

bench: $(VENV)/ready  ## speed, beside what the machine allows
	python benchmarks/bench.py

bench-cartpole: $(VENV)/bench  ## CartPole to a mean of 475, beside Stable-Baselines3 in the same run
	python benchmarks/cartpole.py

$(VENV)/ready: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test,view]"
	touch $@

$(VENV)/bench: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) build
