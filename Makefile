# Two commands on a fresh machine: `make train` and `make test`. Both set up .venv first, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OVERRIDES ?=

.DEFAULT_GOAL := help
.PHONY: help install train test test-slow test-all lint bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

install: $(READY) ## set up .venv

train: $(READY) ## train the embedded default; more in OVERRIDES='backbone=resnet50'
	$(BIN)/python train.py $(OVERRIDES)

test: $(READY) ## the tests, without the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile

test-slow: $(READY) ## the slow tests alone
	$(BIN)/python -m pytest -m slow

test-all: test test-slow ## all tests, the slow ones in a process of their own

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) ## the benchmarks
	$(BIN)/python benchmarks/spike.py
	$(BIN)/python benchmarks/annotations.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/scaling.py
	for work in operators train inference; do $(BIN)/python benchmarks/cpu.py $$work || exit 1; done
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/validation.py

clean: ## remove .venv and caches
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
