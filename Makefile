# make demo and make drill need Python 3.11 or newer and nothing else. make test also uses Debian packages (as root), Maven, Go and npm for real servers;
# what cannot be had is told, and skipped at home (with CI set it fails).
#
# HOLDFAST_VENV=/path      another place for the virtual environment      HOLDFAST_SERVICES=/path   another place for the test servers
# PYTHON=python3.12        the interpreter to make it from                 PYTEST_ARGS="-k vault"    more words for pytest

SHELL := /bin/sh
HOLDFAST_VENV ?= .venv
VENV := $(HOLDFAST_VENV)
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A private umask would hide the programs from the account that test servers run as.
UMASK := umask 022 &&

.PHONY: help demo drill runbooks test check lint format types pytest soak bench services docs lock clean distclean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo ## starts a PostgreSQL, protects it, breaks it, recovers it, and shows what was measured
	$(BIN)/holdfast demo $(DEMO_ARGS)

drill: $(VENV)/.drill ## a whole platform is lost and brought back on an empty machine, against the clock; leaves its signed report
	$(BIN)/holdfast demo --drill $(DRILL_ARGS)

runbooks: $(VENV)/.dev services ## both shipped runbooks on real servers, killed at every step in turn and resumed; leaves their signed reports
	$(BIN)/python -m tests.runbook_templates $(RUNBOOKS_ARGS)

test: $(VENV)/.dev services lint types pytest ## everything that must hold

lint: $(VENV)/.dev ## style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.dev ## formats the code
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

pytest: $(VENV)/.dev ## the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

soak: $(VENV)/.dev services ## the fault campaign, and a service killed and promoted at random, compared with ledgers (SOAK_MINUTES=10 CAMPAIGN_SEED=…)
	$(BIN)/python -m pytest -m soak -x -s $(PYTEST_ARGS)

bench: $(VENV)/.dev services ## beside pgBackRest, restic, borg and the bounds (BENCH_ARGS="--quick", see bench/README.md)
	$(BIN)/python -m bench $(BENCH_ARGS)

services: $(VENV)/.dev ## gets the servers that tests run against into .cache/services
	@$(UMASK) $(BIN)/python -m scripts.services

docs: $(VENV)/.dev ## writes the generated pages anew
	$(BIN)/python -m scripts.docs

lock: ## resolves requirements/*.lock anew (needs uv)
	scripts/lock.sh

clean: ## removes what tests and builds left
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench-results
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also the environment and the servers
	rm -rf $(VENV) .cache src/*.egg-info
	find src -name '*.so' -delete

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: not found on PATH (set PYTHON=/path/to/python3)"; exit 2; }
	@echo "making $(VENV) …"; $(UMASK) $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 2; }

# The package is built without isolation from the locked setuptools, so that nothing unlocked is fetched. Its C accelerators are optional:
# without a compiler the build goes on, and the numpy way is used.
$(VENV)/.demo: requirements/demo.lock pyproject.toml $(wildcard src/holdfast/systems/*/*.c) | $(BIN)/python
	@echo "installing requirements/demo.lock …"; $(UMASK) $(PIP) install --require-hashes --only-binary :all: -r requirements/demo.lock
	@$(UMASK) $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.drill: requirements/drill.lock $(VENV)/.demo
	@echo "installing requirements/drill.lock …"; $(UMASK) $(PIP) install --require-hashes --only-binary :all: -r requirements/drill.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.demo
	@echo "installing requirements/dev.lock …"; $(UMASK) $(PIP) install --require-hashes --only-binary :all: -r requirements/dev.lock
	@touch $@
