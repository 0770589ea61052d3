# Everything a contributor or CI runs.  CI calls these targets and nothing else.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# The tests start the program hundreds of times: let it keep its bytecode, whatever the machine's habit.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed

# make test-unit T=tests/unit/test_lock.py K=stale
T ?=
K ?=
# Two workers suit the small machines this runs on; JOBS=0 runs in one process, for a debugger.
JOBS ?= 2
PYTEST = $(BIN)/python -m pytest $(T) $(if $(K),-k '$(K)')
# Branch coverage of a whole run is held to a floor; of a part of the tests it says nothing.
COVERAGE = $(if $(T)$(K),,--cov --cov-report= --cov-fail-under=88)
PARALLEL = -n $(JOBS) --dist loadgroup
# The program logs nothing, so the plugin that keeps logs only takes time.
QUICK = -p no:logging -m 'not slow and not engine and not network and not gpu and not long' --hypothesis-profile=quick

# Debian suites whose engines `make test-engines` tries: 20.10, and the newest.
SUITES ?= bookworm sid

# What `make demo` builds with: docker or local.
ENGINE ?= docker

# Starts the engine (a no-op when one answers) and points docker's client at it.
WITH_ENGINE = DOCKER_HOST=$$(scripts/engine start); export DOCKER_HOST; \
	export PATH="$$PATH:$${ENVBUILD_ENGINE_HOME:-/var/lib/envbuild-engine}/bin";

.PHONY: help
help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: dev
dev: $(INSTALLED) ## Create .venv with the project, editable, and its tools

$(INSTALLED): pyproject.toml
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --quiet uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	@touch $@

.PHONY: setup
setup: ## Install the Debian packages that the tests need
	@scripts/setup $(PACKAGES)

.PHONY: fmt
fmt: dev ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format --quiet

.PHONY: lint
lint: dev ## Lint, check types and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	@if command -v shellcheck >/dev/null; then shellcheck $$(grep -lE '^#!.*\<(ba)?sh$$' scripts/* .ci/run); fi

.PHONY: schema
schema: dev ## Write the JSON schema of the spec from the models
	@$(BIN)/python -m envbuild.spec.json_schema

.PHONY: golden
golden: dev ## Rewrite the golden files; review the diff
	$(PYTEST) -m 'not engine and not network and not gpu' --snapshot-update --update-golden
	$(BIN)/python scripts/help-blocks

.PHONY: test
test: setup lint ## Lint, then all tests but the long ones and those that need a GPU
	@$(WITH_ENGINE) $(PYTEST) -m 'not gpu and not long' $(PARALLEL) $(COVERAGE)

.PHONY: test-long
test-long: setup dev ## Tests that take many minutes
	@$(WITH_ENGINE) $(PYTEST) -m 'long and not gpu' $(PARALLEL)

.PHONY: test-unit
test-unit: dev ## Quick tests that need nothing but this checkout
	@$(PYTEST) $(QUICK) $(PARALLEL)

.PHONY: coverage
coverage: dev ## Branch coverage of the quick tests, file by file
	@$(PYTEST) $(QUICK) $(PARALLEL) --cov --cov-report=term:skip-covered --cov-fail-under=82

.PHONY: test-engine
test-engine: setup dev ## Tests that need a Docker Engine; starts one
	@$(WITH_ENGINE) $(PYTEST) -m 'engine and not gpu and not long' $(PARALLEL)

.PHONY: test-engines
test-engines: setup dev ## Images of the local engine on other versions of Docker
	@for suite in $(SUITES); do export ENGINE_SUITE=$$suite; \
		DOCKER_HOST=$$(scripts/engine start) $(BIN)/python -m pytest tests/integration/test_local_engine.py -m engine || \
		status=1; scripts/engine stop; done; exit $${status:-0}

.PHONY: test-gpu
test-gpu: setup dev ## Tests that need an NVIDIA GPU
	@$(WITH_ENGINE) $(PYTEST) -m gpu

.PHONY: property
property: dev ## Generative tests, with many more examples
	@$(PYTEST) -m property --hypothesis-profile=thorough $(PARALLEL)

.PHONY: bench
bench: setup dev ## Run the benchmarks
	@$(WITH_ENGINE) $(BIN)/python -m benchmarks

.PHONY: engine
engine: ## Start a Docker Engine if none answers; print its DOCKER_HOST
	@scripts/engine start

.PHONY: engine-stop
engine-stop: ## Stop the engine that `make engine` started
	@scripts/engine stop

.PHONY: demo
# Without an engine, little is needed.
demo: PACKAGES = $(if $(filter local,$(ENGINE)),ca-certificates python3-venv util-linux)
demo: setup dev ## Lock, build and verify an example from nothing; ENGINE=local needs no docker
	@$(if $(filter local,$(ENGINE)),,$(WITH_ENGINE)) PATH="$$PWD/$(BIN):$$PATH" ENVBUILD_ENGINE=$(ENGINE) scripts/demo

.PHONY: torch-gpu
torch-gpu: setup dev ## Build and verify examples/torch-gpu (3 GB); write docs/torch-gpu.md
	@$(BIN)/python scripts/torch-gpu

.PHONY: check-generated
check-generated: schema ## Fail when a generated file is stale
	git diff --exit-code

.PHONY: check
check: test check-generated wheel ## Everything a change must pass

.PHONY: wheel
wheel: dev ## Build the wheel into dist/
	@$(BIN)/uv build --quiet --wheel

.PHONY: clean
clean: ## Remove what these targets made in the checkout
	rm -rf .venv build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
