# Needs make and Python 3.11 or later; everything else goes into .venv.

export PIP_DISABLE_PIP_VERSION_CHECK := 1

usable := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c '$(usable)' >/dev/null 2>&1 && echo $$python && break; done)
comma := ,
extras := s3,archive,models,notebook,test

.DEFAULT_GOAL := help
.PHONY: help demo test lint test-minimum clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo "PYTHON=... chooses the interpreter of a new environment; DIR=... where the demo writes."

demo: .venv/.complete ## Make a small replica of the catalogue, convert, verify, analyse and score it
	@.venv/bin/s2cmc demo $(DIR)

test: .venv/.complete ## Run the tests
	@.venv/bin/python -m pytest

lint: .venv/.complete ## Run ruff and mypy, and compare the lower bounds with constraints-minimum.txt
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@sed -nE 's/^ *"([A-Za-z0-9_-]+)(\[[a-z,]+\])?>=([^",]+)".*/\1==\3/p' pyproject.toml | LC_ALL=C sort -u | \
		diff constraints-minimum.txt - || { echo "pyproject.toml (>) and constraints-minimum.txt (<) disagree." >&2; exit 1; }

test-minimum: .venv-minimum/.complete ## Run the tests with the oldest supported versions of all dependencies
	@.venv-minimum/bin/python -m pytest

clean: ## Remove the environments and all caches
	rm -rf .venv .venv-minimum .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find s2cmc_zarr tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.complete: pyproject.toml constraints.txt
	$(call build-environment,.venv,constraints.txt,$(extras)$(comma)lint)

.venv-minimum/.complete: pyproject.toml constraints-minimum.txt
	$(call build-environment,.venv-minimum,constraints-minimum.txt,$(extras))

# $(1) directory, $(2) constraints, $(3) extras
define build-environment
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(usable)' || { \
		echo "Found no Python 3.11 or later with the modules venv and ensurepip" \
			"(tried: $(or $(PYTHON),python3.13 python3.12 python3.11 python3))." \
			"Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Building $(1) with $$($(PYTHON) --version); this takes a minute or two."
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python -m pip install --quiet --constraint $(2) --editable '.[$(3)]'
	@touch $@
endef
