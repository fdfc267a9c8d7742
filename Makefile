# Targets set up .venv by themselves and do nothing when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev quickstart test test-fast lint format docs wheel clean

help: ## Show the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "genrec needs Python 3.11 or newer; found: $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing genrec into $(VENV) (a few minutes the first time)"
	$(INSTALL) torch # on its own and first, so that the constraint decides which build comes
	$(INSTALL) -e '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "installing what the tests need"
	$(INSTALL) -e '.[dev]'
	@touch $@

setup: $(VENV)/.run ## Make .venv with what genrec needs to run and to train.

setup-dev: $(VENV)/.dev ## The same, with the tools for tests.

quickstart: $(VENV)/.run ## The main job on the built-in synthetic catalog, in minutes on a CPU.
	$(BIN)/genrec quickstart $(ARGS)

test: $(VENV)/.dev lint ## Every test that needs no GPU.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not gpu" -n 2 --dist worksteal $(ARGS)

test-fast: $(VENV)/.dev ## The quick tests only.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(VENV)/.dev ## Ruff and mypy.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## Rewrite the code in the house's format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## Build the documentation into site/.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

wheel: $(VENV)/.dev ## Build the wheel into dist/.
	$(BIN)/python -m build --wheel

clean: ## Remove .venv and everything built.
	rm -rf $(VENV) build dist site outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis
