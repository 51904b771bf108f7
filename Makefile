# Every target makes .venv by itself; nothing else has to be installed.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export OMP_NUM_THREADS ?= 1
unexport PYTHONDONTWRITEBYTECODE # set in many images; each process would compile every module anew

IN_PARALLEL := --numprocesses $(shell expr `nproc` + 1) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
WITHOUT_TORCH := .venv-without-torch
NEEDING_NO_TORCH := tests/test_without_torch.py $(addprefix tests/,config telemetry dataset guard)
FAST := -m "not slow and not pipeline"
DECIDES := */compare/*,*/core/statistics.py,*/core/verdict.py,*/core/*record.py,*/config/history.py,*/dataset/manifest.py,*/dataset/catalogue*.py,*/release/standing.py
.PHONY: help setup repro evidence test test-without-torch test-slow coverage torture soak nightly goldens check committed smoke bench bench-cartpole clean

help:  ## what can be made (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-20s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready  ## the environment .venv with pinned versions, and the simulators compiled

repro: $(VENV)/ready  ## the default pipeline, from the expert to the verdict: about five minutes
	dvc repro
	headstart report --no-write

evidence: $(VENV)/ready  ## the full comparison, experiment by experiment: hours; a finished one is not run again
	headstart evidence

test: $(VENV)/ready  ## all tests but those of `make smoke` and the slow ones
	pytest $(FAST) $(IN_PARALLEL)

test-without-torch: $(WITHOUT_TORCH)/ready  ## the tests of what needs no torch, in an environment that has none: a minute
	! $(WITHOUT_TORCH)/bin/python -c "import torch" 2>/dev/null
	PATH="$(CURDIR)/$(WITHOUT_TORCH)/bin:$$PATH" python -m pytest -p tests.without_torch $(FAST) $(IN_PARALLEL) $(NEEDING_NO_TORCH)

test-slow: $(VENV)/ready  ## the long runs, and ten times as many examples of what is drawn: some ten minutes
	MANY=1 pytest -m "slow or many" $(IN_PARALLEL)

coverage: $(VENV)/ready  ## the lines that `make test` runs: 85 of 100, and 95 of what decides: twelve minutes
	rm -rf build/coverage
	coverage run -m pytest $(FAST) $(IN_PARALLEL)
	coverage combine --quiet
	coverage report --fail-under=85
	coverage report --fail-under=95 --include "$(DECIDES)"

torture: $(VENV)/ready  ## thousands of kills, crashes, damaged files and hostile inputs; prints what was lost or went unnoticed: half an hour
	python -m tests.torture

soak: $(VENV)/ready  ## ten whole cycles of six scenarios in one process: does memory grow? four minutes
	python -m tests.soak

nightly: repro coverage test-slow torture soak  ## all that takes long, and a drill of every guardrail a hundred times: an hour and a quarter
	headstart drill rollback --runs 100

goldens: $(VENV)/ready  ## golden values and samples that changed: shows them, and asks before it writes
	python -m tests.goldens

committed: $(VENV)/ready  ## what git holds of data: every recorded hash, the catalogue, the history, dvc.lock; seconds
	headstart verify
	headstart catalogue check

check: $(VENV)/ready  ## lint, format and types
	ruff check
	ruff format --check
	mypy

smoke: $(VENV)/ready  ## the pipeline by DVC, and the package as others get it: every stage, on tiny settings
	pytest -m pipeline $(IN_PARALLEL)

bench: $(VENV)/ready  ## speed, beside what the machine allows
	python benchmarks/bench.py

bench-cartpole: $(VENV)/bench  ## CartPole to a mean of 475, beside Stable-Baselines3 in the same run
	python benchmarks/cartpole.py

clean:  ## remove both environments and build
	rm -rf $(VENV) $(WITHOUT_TORCH) build

$(VENV)/ready: install.sh constraints.txt pyproject.toml
	PYTHON="$(PYTHON)" ./install.sh "train,test,view"
	headstart compile
	touch $@

$(WITHOUT_TORCH)/ready: install.sh constraints.txt pyproject.toml
	PYTHON="$(PYTHON)" VENV=$(WITHOUT_TORCH) UV_COMPILE_BYTECODE=0 ./install.sh "view,observe,tensorboard" pytest pytest-xdist hypothesis jsonschema playwright axe-playwright-python
	touch $@

$(VENV)/bench: $(VENV)/ready
	./install.sh "train,bench"
	touch $@
