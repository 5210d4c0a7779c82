# Two commands: `make demo` runs the main job, `make test` passes the tests. Each does all its set-up.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PINS := $(VENV)/pins
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench faults hostile faults-controls observability pins run clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: $(READY) ## A real graph, a burst, a live view, an audit. JSON=FILE writes the figures, KEEP=1 leaves it running, SECURE=1 with TLS and users
	@$(BIN)/tideline demo $(if $(KEEP),--keep) $(if $(SECURE),--secure) $(if $(JSON),--json >'$(JSON)')

test: $(READY) ## Unit, contract and engine tests, on a real Kafka and a real Cassandra. ARGS: only those, one by one
	@$(BIN)/python -m pytest $(or $(ARGS),-n 2)

lint: $(READY) ## ruff, mypy --strict, and the walls between the rooms
	@$(BIN)/ruff check pipeline tests
	@$(BIN)/ruff format --check pipeline tests
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## The writer against a bare driver and a plain agent, in one interleaved run
	@$(BIN)/tideline bench fanout

faults: $(READY) ## Kill, pause and restart everything under traffic, and check every page. MINUTES=15 SEED=n SECURE=1
	@$(BIN)/python -m tests.faults --minutes '$(or $(MINUTES),15)' $(if $(SEED),--seed '$(SEED)') $(if $(SECURE),--secure)

hostile: $(READY) ## Everything that strangers may send, beside ordinary traffic: who notices? MINUTES=30 SEED=n
	@$(BIN)/python -m tests.hostile --minutes '$(or $(MINUTES),30)' $(if $(SEED),--seed '$(SEED)')

faults-controls: $(READY) ## Break the pipeline's rules one by one and see that check go red
	@$(BIN)/python -m pytest -m controls tests/faults

observability: $(READY) ## Write the rules, the dashboards and the page of metrics anew
	@$(BIN)/tideline topology observability topology/observability
	@$(BIN)/python -c 'from pipeline.telemetry import metrics; print(metrics.page(), end="")' > docs/metrics.md

pins: ## Write .ci/requirements.txt anew after a change of pyproject.toml. UPGRADE=1: with the newest versions
	@python3 -m venv $(PINS) && $(PINS)/bin/pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'
	@$(PINS)/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-emit-index-url \
		--no-emit-find-links --custom-compile-command 'make pins' --python-version 3.11 --extra dev \
		$(if $(UPGRADE),--upgrade) pyproject.toml -o .ci/requirements.txt

run: $(READY) ## The pipeline on this machine, until Ctrl-C
	@$(BIN)/tideline run

clean: ## Remove the virtual environment and caches of the tools
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml .ci/requirements.txt
	@echo "setting up $(VENV) (once) …" >&2
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tideline needs Python 3.11 or newer")'
	@python3 -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r .ci/requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
