# Two commands matter: `make demo` and `make test`. Both need only Python 3.11+, pip and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-tryton check format lint types imports tests clean
.PHONY: bench bench-intake bench-latency bench-surge bench-availability bench-catalog bench-oversell
.PHONY: bench-trace bench-settlement bench-year

help:          ## Say what can be made
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 21

demo: $(READY) ## Set everything up and carry real baskets from three stores into an ERP (ARGS="--orders 500")
	$(BIN)/sync-assets demo $(ARGS)

test: $(READY) ## Set everything up and run the tests
	$(BIN)/python -m pytest $(ARGS)

test-long: $(READY) ## The tests, searching as far as they can (an hour)
	SYNC_TESTS=long $(BIN)/python -m pytest $(ARGS)

test-tryton: $(READY) ## The tests against a real Tryton server (installs it first, about two minutes)
	$(BIN)/python -m sync_assets.ops.tryton_server
	$(BIN)/python -m pytest -m tryton -n 0 $(ARGS)

check: format lint types imports tests ## Format, lint, types, import contracts, tests

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

tests: test

bench: $(READY) ## Orders per second and memory
	$(BIN)/python bench/throughput.py $(ARGS)

bench-intake: $(READY) ## Webhooks per second, against the bare server and pgbench
	$(BIN)/python bench/intake.py $(ARGS)

bench-latency: $(READY) ## Seconds from a webhook to the ERP's receipt (ARGS="--dev": plain dagster dev)
	$(BIN)/python bench/latency.py $(ARGS)

bench-surge: $(READY) ## Six times the orders for two hours, everything going wrong
	$(BIN)/python bench/surge.py $(ARGS)

# The lock names every package with its digest, so there is nothing to resolve; the project itself is
# installed on top of it. Modules are compiled when they are first used, most of them never.
$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:         ## Remove the virtual environment; data stays in SYNC_HOME
	rm -rf $(VENV)

bench-availability: $(READY) ## Stock of 100,000 SKUs worked out and compared, beside bare pandas and one SQL statement
	$(BIN)/python bench/availability.py $(ARGS)

bench-catalog: $(READY) ## A first push of 20,000 products, and one that has nothing to do
	$(BIN)/python bench/catalog.py $(ARGS)

bench-oversell: $(READY) ## Oversold units of real baskets: 15-minute polling against this pipeline
	$(BIN)/python bench/oversell.py $(ARGS)

bench-trace: $(READY) ## From any reference to an order's whole life, among a million orders
	$(BIN)/python bench/trace.py $(ARGS)

bench-settlement: $(READY) ## A million settled lines matched, judged and booked
	$(BIN)/python bench/settlement.py $(ARGS)

bench-year: $(READY) ## A year of baskets settled to the cent, with every kind of fault planted and looked for
	$(BIN)/python bench/settlement_year.py $(ARGS)
