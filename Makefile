# AmazonSender. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled modules are kept, whatever is set: else each worker of the tests, and each process that a
# test starts, compiles all of them anew.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help install install-dev demo test lint format bench soak image-check sbom lock stamp clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed ## set up .venv with the locked dependencies

install-dev: $(VENV)/.installed-dev ## the same, with what tests and checks need

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

demo: install ## send a mailout to 3,000 subscribers on embedded parts (KEEP=1 leaves it running)
	@KEEP=$(KEEP) $(BIN)/python -m examples.demo

test: install-dev ## the whole suite, on a real PostgreSQL
	$(BIN)/pytest -n 4 --dist loadgroup

lint: install-dev ## ruff, mypy, and the checks of Docker and YAML files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict docker-compose.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile

bench: install-dev ## side-by-side measurements (quiet machine, about 20 minutes) into bench/results.md
	$(BIN)/python -m bench.run

# What `make test` leaves out: tests marked `soak` (hours) and `short` (long for what they add), and three
# quarters of each property's examples (tests/support/wide.py).
SOAKED := tests/soak tests/integration/test_state_machines.py tests/integration/test_canonical_addresses.py tests/security/fuzz/test_api.py
soak: install-dev ## long fault-injection runs (SHORT=1: short ones, and all tests and examples that the suite leaves out; SOAK_KILLS, SOAK_RECIPIENTS, SOAK_SEED, SOAK_OUTAGE, PYTEST_FUZZ_EXAMPLES)
	PYTEST_EXAMPLES=all $(BIN)/pytest $(SOAKED) -m $(if $(SHORT),'not soak',soak) -s -p no:cacheprovider
	$(if $(SHORT),PYTEST_EXAMPLES=all $(BIN)/pytest tests -m 'short or hypothesis' $(SOAKED:%=--ignore=%) -n 4 --dist loadgroup)

image-check: install-dev ## build the container image and run it (root on Debian; else it says why not)
	@docker/image-check.sh

SBOM := dist/sbom.cdx.json
sbom: install-dev ## what the container is made of, as CycloneDX, into dist/sbom.cdx.json
	@mkdir -p $(dir $(SBOM))
	$(BIN)/cyclonedx-py requirements requirements-docker.lock --pyproject pyproject.toml --mc-type application --output-reproducible -o $(SBOM)

LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q
lock: ## make the four lock files anew (needs uv on the PATH; docs/dependencies.md)
	$(LOCK) pyproject.toml --extra embedded --group build -o requirements.lock
	$(LOCK) pyproject.toml --extra embedded --group build --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) pyproject.toml -c requirements.lock -o requirements-docker.lock
	$(LOCK) --group pyproject.toml:build -c requirements-dev.lock -o requirements-build.lock

format: install-dev ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

stamp: install ## after a change of any SQL file: a new schema version
	$(BIN)/python -m app.adapters.database.migrations stamp

clean: ## remove everything that was made, the demo's database too
	rm -rf $(VENV) .data/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
