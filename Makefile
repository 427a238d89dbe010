# What developers and ops do. `make` lists it.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ASKED_AT := $(shell date +%s)

.DEFAULT_GOAL := help
.PHONY: help run demo test e2e reliability bench load lint format openapi stage build preview deploy clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) ## Run the whole back office here: local cloud, packaged stack, demo data; until Ctrl-C
	@$(BIN)/python -m infra.run --asked-at $(ASKED_AT)

demo: $(READY) ## A day of the post against what 'make run' started
	@$(BIN)/python -m demo.play

test: $(READY) ## The tests: in process, offline, in minutes
	@$(BIN)/python -m pytest -n auto --dist loadfile

e2e: $(READY) ## The tests of the deployed stack: local clouds of their own, over HTTP and SFTP
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e

reliability: $(READY) ## 10,000 simulated alerts with 30 % of everything failing, in minutes
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.reliability $(RELIABILITY)

bench: $(READY) ## What the code costs beside the same work done bare: scans, passes, cold starts
	@$(BIN)/python -m bench $(BENCH)

load: $(READY) ## A morning of 2,000 handsets in a minute, against a local cloud of its own
	@$(BIN)/python -m bench.load $(LOAD)

lint: $(READY) ## Formatting, lint rules and types
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --strict chalicelib infra handset reader demo ops bench

format: $(READY) ## Format the sources and repair what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

openapi: $(READY) ## Write openapi.json from the declarations
	@$(BIN)/python -m infra.openapi

stage:
	@test -n "$(STAGE)" || { echo "Give STAGE=dev|staging|prod." >&2; exit 1; }

build: stage $(READY) ## Build the package of a stage: STAGE=dev|staging|prod
	@$(BIN)/python -m infra.build --stage $(STAGE)

preview: stage $(READY) ## Build it and show what a deployment would change
	@$(BIN)/python -m infra.deploy --stage $(STAGE) --preview

deploy: stage $(READY) ## Build it and deploy it by a CloudFormation change set
	@$(BIN)/python -m infra.deploy --stage $(STAGE)

clean: ## Remove everything that was made here: environments, builds, the local cloud's state
	@rm -rf $(realpath .local/cloud/tmp) .venv .venv-cloud build .local .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@echo "Making the environment (once, about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch $@
