# Everything runs in .venv, made from the locked requirements; nothing else is needed.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
DEMO := build/demo.db
ACCORD := ACCORD_DB=sqlite:///$(DEMO) $(BIN)/accord
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input install
.PHONY: help setup demo test soak lint types check bench bench-10m docs lock clean
.DEFAULT_GOAL := help

help: ## Lists what make can do.
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1: /p' $(MAKEFILE_LIST)

setup: .venv/.ready ## Makes .venv from the locked requirements, by name, version and hash.
	@:
.venv/.ready: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "accord needs Python 3.11 or newer; none was found on the path." >&2; exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv --clear .venv
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q ledger projections cli
	@touch $@

demo: setup ## Loads the real OpenAI–NVIDIA deal into a new ledger, shows it on three days, verifies it.
	@mkdir -p build && rm -f $(DEMO) $(DEMO)-wal $(DEMO)-shm
	$(ACCORD) init
	$(ACCORD) demo openai-nvidia
	$(ACCORD) show openai-nvidia
	$(ACCORD) show openai-nvidia --as-of 2025-10-01
	$(ACCORD) show openai-nvidia --as-of 2026-03-15
	$(ACCORD) verify

test: export COVERAGE_FILE := $(CURDIR)/build/coverage
test: setup ## Runs all tests on both cores; fails below 100 % branch coverage of ledger/.
	@mkdir -p build && rm -f build/coverage* && $(BIN)/coverage run -m pytest -q -n 2 && $(BIN)/coverage combine -q && $(BIN)/coverage report

soak: export ACCORD_SOAK ?= 20
soak: export ACCORD_HISTORIES ?= 10000
soak: setup ## Kills a PostgreSQL primary again and again; holds ten thousand histories beside the oracle.
	@$(BIN)/python -m pytest -q tests/test_takeover.py -o log_cli=true -o log_cli_level=INFO
	@$(BIN)/python -m pytest -q -s tests/oracle -k soak

lint: setup ## Checks style, formatting and the import contracts.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo

types: setup ## Checks every type, strictly.
	@$(BIN)/mypy

check: lint types test ## Does all that CI does.

bench: setup build/bench-env/.ready ## Measures every speed that the design asks for, beside its peers.
	@$(BIN)/python -m compileall -q ledger projections cli && $(BIN)/python -m benchmarks 10000 100000 1000000

bench-10m: setup ## Commands on a record of ten million events; an hour, by hand.
	@$(BIN)/python -m compileall -q ledger projections cli && $(BIN)/python -m benchmarks 1000000 10000000 --growth --rounds 1

build/bench-env/.ready: requirements/bench.txt
	@mkdir -p build && "$(PYTHON)" -m venv --clear build/bench-env
	@build/bench-env/bin/python -m pip -qq --disable-pip-version-check --no-input install --require-hashes -r requirements/bench.txt
	@touch $@

docs: setup ## Writes the reference from the code, and the README's output from its commands.
	@$(BIN)/python -m cli.handbook docs/reference && $(BIN)/python tests/test_readme.py

lock: ## Writes the requirements anew: names, versions and hashes, no addresses. Needs uv.
	@uv pip compile $(LOCK) --extra postgres pyproject.toml -o requirements/run.txt && uv pip compile $(LOCK) --group dev pyproject.toml -o requirements/dev.txt && uv pip compile $(LOCK) requirements/bench.in -o requirements/bench.txt

clean: ## Removes what was made, .venv included.
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
