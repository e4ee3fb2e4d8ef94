.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadgroup
ARGS ?=

.PHONY: help setup demo test tck tck-dcp test-all check check-lock check-style check-imports \
	check-types check-docs check-wheel fmt bench docs up lock clean

help: ## Show these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 15

setup: $(READY) ## Make .venv as the lock says; again only after the lock changed
$(READY): requirements.lock requirements-build.lock pyproject.toml tools/setup ; tools/setup && touch $@

demo: $(READY) ## Run the whole story on this machine, with ARGS=...
	$(BIN)/databank demo $(ARGS)

up: $(READY) ## Start all services in one process, with ARGS=...
	$(BIN)/databank up $(ARGS)

test: $(READY) ## Run all tests but the benchmarks, with ARGS=...
	$(PYTEST) -m "not benchmark" $(ARGS)

tck: $(READY) ## Run the official DSP 2025-1 kit (Java, Maven) against our connector
	$(BIN)/python -m tests.tck

test-all: ## Do what CI does: install what is missing, every gate, every test
	CI=true bash .ci/run

check: check-style check-imports check-types check-docs check-lock check-wheel ## Run every gate but the tests

check-style: $(READY) ## Formatter and linter agree
	$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .

check-imports: $(READY) ## The layers hold
	$(BIN)/lint-imports --no-cache

check-types: $(READY) ## mypy --strict, tests included
	$(BIN)/mypy

check-docs: $(READY) ## Generated documents are current
	$(BIN)/python tools/make_docs.py --check

check-lock: $(READY) ## The locks follow from pyproject.toml
	tools/lock --check

check-wheel: $(READY) ## The wheel installs into an empty environment and runs
	tools/check-wheel

fmt: $(READY) ## Format, and mend what the linter can
	$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

bench: $(READY) ## Measure against limits of the same run into var/bench, with ARGS=...
	$(BIN)/pytest -m benchmark --numprocesses 0 -p no:randomly $(ARGS)

tck-dcp: $(READY) ## Fetch the DCP TCK with mvn and run it; print what does not pass
	tools/tck-dcp/run

docs: $(READY) ## Write the generated documents
	$(BIN)/python tools/make_docs.py

lock: $(READY) ## Lock the dependencies that pyproject.toml asks for
	tools/lock

clean: ## Remove the environment, caches and demo data
	rm -rf .venv build dist var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
