# `make demo` and `make test` start from nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
MODELS := $(VENV)/.models
COPY := build/check
# One more than there are cores: tests also wait, for stores and for other processes.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
DEMO_HOME ?= $(CURDIR)/demo

.PHONY: help demo test soak check format bench docs clean

help:
	@echo "make demo    a small library of speech with its report, in ./demo"
	@echo "make test    the tests (long loops: a seeded tenth)"
	@echo "make soak    the tests with all loops at full length"
	@echo "make check   ruff, mypy --strict and the floors, on a built copy"
	@echo "make bench   all benchmarks, as ratios in one run"
	@echo "make docs    the pages that are made from the code"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Voxledger needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@rm -rf *.egg-info  # a build's leftover: seen from this folder, its entry points would hide the installed ones
	@touch $@

# What the engine indextts needs takes 1.5 GB: tests want it, the demo does not.
$(MODELS): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[indextts]'
	@rm -rf *.egg-info
	@touch $@

demo: $(INSTALLED)
	$(BIN)/voxledger --home '$(DEMO_HOME)' demo --out '$(DEMO_HOME)/report'

test: $(MODELS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

soak: $(MODELS)
	VOXLEDGER_SOAK=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

# The four floors stand at the root of the repository; type checker and import linter want them where they are imported from.
check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(COPY) build/lib
	$(PIP) install --quiet --no-deps --target $(COPY) .
	rm -rf *.egg-info
	cd $(COPY) && ../../$(BIN)/python -m mypy --config-file ../../pyproject.toml -p voxledger
	cd $(COPY) && ../../$(BIN)/lint-imports --config ../../pyproject.toml

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(MODELS)
	for bench in $(addprefix benchmarks/,audio.py backtest.py emotion.py export.py log.py mixpanel_delivery.py node.py node_pages.py objects.py plan.py reconcile.py report.py retention.py speak.py synthesis.py synthesis_engine.py); do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py

clean:
	rm -rf build dist *.egg-info $(VENV)
