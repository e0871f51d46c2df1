# The targets a checkout needs; `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help search test test-thorough test-cluster lint smoke docs encoder clean

SPACE ?= search_spaces/rs.yaml
ARGS ?=
# Errors only; `make PIP_FLAGS=` shows the progress of a long download.
PIP_FLAGS ?= -qq --disable-pip-version-check

# A file of tests keeps to one process, which makes its searches once; in the files' own order the
# long ones stand in the middle, and no process waits for another at the end.
SIDE_BY_SIDE ?= -n logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

# Quoted wherever it is used: the path of the checkout may contain spaces.
BIN := $(CURDIR)/.venv/bin

# Stamps, so that a second call installs nothing unless the requirements have changed.
VENV := .venv/.made
INSTALLED := .venv/.installed
INSTALLED_TEST := .venv/.installed-test

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

search: $(INSTALLED)  ## run the search of SPACE (default: search_spaces/rs.yaml); ARGS="--trials 8 …"
	@"$(BIN)/rxtune" search --space "$(SPACE)" $(ARGS)

test: $(INSTALLED_TEST)  ## run the tests, a small search and the linters
	@"$(BIN)/python" -m pytest $(SIDE_BY_SIDE)
	@$(MAKE) --no-print-directory smoke
	@$(MAKE) --no-print-directory lint

test-thorough: $(INSTALLED_TEST)  ## run the longest tests: full disks, failing stores and servers, hosts, peers, the tutorial
	@"$(BIN)/python" -m pytest -m thorough

test-cluster: $(INSTALLED_TEST)  ## run `ray up` on hosts made of namespaces, and a Slurm job; needs Linux and root
	@"$(BIN)/python" -m pytest -m cluster

smoke: $(INSTALLED_TEST)  ## run a small search through the command line, in a temporary folder
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	"$(BIN)/rxtune" search --space "$(CURDIR)/search_spaces/quick.yaml" --name smoke

lint: $(INSTALLED_TEST)  ## check style, format and types
	@"$(BIN)/python" -m ruff check .
	@"$(BIN)/python" -m ruff format --check .
	@"$(BIN)/python" -m mypy

docs: $(INSTALLED_TEST)  ## build the documentation into build/site, which opens from disk
	@"$(BIN)/python" docs/_build/reference.py
	@NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build --strict
	@echo "Open build/site/index.html; with search: python3 -m http.server -b 127.0.0.1 -d build/site"

encoder: $(INSTALLED)  ## rebuild the encoder that ships with the package (slow)
	@"$(BIN)/python" -m rxtune.testbed.pretrain

clean:  ## remove .venv, builds and caches; runs/ and mlflow.db, your results, stay
	@rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# PYTHON=… chooses the interpreter; otherwise the first of these that runs and is new enough.
$(VENV):
	@for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$python; break; fi; \
	done; \
	if [ -z "$${found-}" ]; then \
	    echo "rxtune needs Python 3.11 or newer, and $(or $(PYTHON),python3) is" \
	        "$$($(or $(PYTHON),python3) --version 2>&1 | head -n 1)." \
	        "Install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$found cannot make virtual environments: its venv or ensurepip module is" \
	        "missing. On Debian and Ubuntu: apt install python3-venv (or python3.11-venv)." >&2; \
	    exit 1; \
	fi; \
	echo "Making .venv with $$("$$found" --version)"; \
	"$$found" -m venv --clear .venv
	@touch $@

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)
	@echo "Installing rxtune into .venv (the first time this takes a few minutes)"
	@"$(BIN)/python" -m pip install $(PIP_FLAGS) -c constraints.txt -e .
	@touch $@

# After the plain one, so that `make -j` never runs two installs in one environment.
$(INSTALLED_TEST): pyproject.toml constraints.txt $(INSTALLED)
	@echo "Installing the test tools into .venv"
	@"$(BIN)/python" -m pip install $(PIP_FLAGS) -c constraints.txt -e '.[test]'
	@touch $@
