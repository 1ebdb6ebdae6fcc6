# Everything is set up by the first target that needs it: a virtual environment with hash-locked dependencies.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Clients by other people, for the tests: each set in an environment of its own, locked like ours.
CLIENTS := $(VENV)/clients/.installed

.PHONY: clients demo test test-full check bench lint types generated lock schemas dist clean setup
PACE ?= 1

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV), once; this takes about a minute."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(STAMP)

clients: $(CLIENTS)

$(CLIENTS): $(STAMP) tests/clients/python/old.lock tests/clients/python/new.lock tests/clients/node/package-lock.json
	@echo "Setting up the clients of the tests, once; this takes about two minutes."
	@for name in old new; do \
	  $(PYTHON) -m venv $(VENV)/clients/$$name && \
	  $(VENV)/clients/$$name/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	    -r tests/clients/python/$$name.lock || exit 1; \
	done
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/npm ci --prefix tests/clients/node --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $(CLIENTS)

demo: setup
	@$(BIN)/kallyai-mcp demo --pace $(PACE)

test: setup clients
	@.ci/browser
	$(BIN)/python -m pytest -n auto $(ARGS)

# The same tests with all their examples, rounds and kills, and every tool with every fault.
test-full: setup clients
	@.ci/browser
	KALLYAI_TESTS=full $(BIN)/python -m pytest -n auto $(ARGS)

check: lint types generated test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile

types: setup
	$(BIN)/pyright

generated: setup
	$(BIN)/python -m kallyai_mcp.export --check

schemas: setup
	$(BIN)/python -m kallyai_mcp.export

# Wheel and sdist, and the wheel tried in an empty environment.
dist: setup
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/python .ci/try_wheel.py dist

bench: setup
	$(BIN)/python -m bench

# Needs uv on the path; the lock files carry hashes and no index address.
lock:
	for name in old new; do uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header tests/clients/python/$$name.in -o tests/clients/python/$$name.lock; done
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	echo hatchling | uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header - -o requirements-build.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis
