# Everything is set up by the first target that needs it: a virtual environment with hash-locked dependencies.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: mcpb frameworks demo test test-full check bench lint types generated lock schemas dist clean setup
PACE ?= 1

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV), once; this takes about a minute."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(STAMP)

demo: setup
	@$(BIN)/kallyai-mcp demo --pace $(PACE)

test: setup
	@.ci/browser
	@.ci/node
	@.ci/frameworks
	@.ci/postgres
	$(BIN)/python -m pytest -n auto $(ARGS)

# The same tests with all their examples, rounds and kills, and every tool with every fault.
test-full: setup
	@.ci/browser
	@.ci/node
	@.ci/frameworks
	@.ci/postgres
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

# The bundle for Claude Desktop, packed by the official tool and tried as the host starts it.
mcpb: setup
	@.ci/node
	rm -rf build/bundle && mkdir -p dist && rm -f dist/*.mcpb
	$(BIN)/python -m kallyai_mcp.export.bundle build/bundle
	cd tests/node && PATH="$(abspath $(BIN)):$$PATH" npx --no-install mcpb validate ../../build/bundle/manifest.json
	cd tests/node && PATH="$(abspath $(BIN)):$$PATH" npx --no-install mcpb pack ../../build/bundle ../../dist/kallyai-mcp-$$(../../$(BIN)/python -c 'import kallyai_mcp; print(kallyai_mcp.__version__)').mcpb
	$(BIN)/python .ci/try_bundle.py dist

# What the examples for agent frameworks need.
frameworks: setup
	@.ci/frameworks

bench: setup
	$(BIN)/python -m bench

# Needs uv on the path; the lock files carry hashes and no index address.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra organisation --extra telemetry pyproject.toml -o requirements-image.lock
	echo hatchling | uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header - -o requirements-build.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements-dev.lock
	for name in frameworks clients; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    tests/$$name/requirements.in -o tests/$$name/requirements.lock || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-frameworks tests/node/node_modules dist build .pytest_cache .ruff_cache .hypothesis
