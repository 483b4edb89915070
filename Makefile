# Every target says what it does: `make help`. Needs Python 3.11, make and git; everything else comes from PyPI.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
PY := $(VENV)/bin/python
# The interpreter the environment is made with: make demo PYTHON=/path/to/python3.11
PYTHON ?= $(firstword $(foreach p,python3.11 python3 python,$(if $(shell $(p) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo yes),$(p))))
JOBS ?= 2
ARGS ?=

.PHONY: help setup setup-dev installed demo up down reset status test check lint fmt bench browser lock

help: ## print this
	@echo "Countersign. Settings: HOST, PORT, DATA_DIR, PUBLIC_URL (docs/operators/configuration.md)."
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## create .venv with what a server needs, from the hash-locked requirements
	@PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/setup worker embedded

installed:
	@test -x $(PY) || { echo "There is no $(VENV) yet: nothing was started here. See make help." >&2; exit 1; }

setup-dev:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/setup dev

demo: setup ## start everything, then take two real models through a promotion; ARGS="--signed --once"
	@exec $(PY) -m config.runtime demo $(ARGS)

up: setup ## start everything on an empty registry; state is kept in DATA_DIR (var/)
	@exec $(PY) -m config.runtime up

down: installed ## stop the instance that runs on DATA_DIR
	@exec $(PY) -m config.runtime down

reset: installed ## delete all state in DATA_DIR; asks first (YES=1 does not)
	@exec $(PY) -m config.runtime reset

status: installed ## say what runs on DATA_DIR
	@exec $(PY) -m config.runtime status

test: setup-dev browser ## run every test on a real PostgreSQL; ARGS="tests/audit -k seal"
	$(PY) -m pytest -n $(JOBS) $(ARGS)

lint: setup-dev ## ruff, mypy, import contracts, templates, missing migrations
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy .
	$(VENV)/bin/lint-imports
	$(PY) -m djlint --quiet --lint templates
	git ls-files 'templates/*.html' | xargs -r $(VENV)/bin/djade --target-version 5.2 --check
	DJANGO_SETTINGS_MODULE=config.settings.test $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

fmt: setup-dev ## format Python and templates
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .
	git ls-files 'templates/*.html' | xargs -r $(VENV)/bin/djade --target-version 5.2

check: lint test ## lint and test: what CI runs

bench: setup-dev ## the benchmarks, with MLflow as the peer in the same run; ARGS="--quick"
	$(PY) -m benchmarks $(ARGS)

browser: setup-dev ## install Chromium for the browser tests, when this machine lets us
	@scripts/browser

lock: setup-dev ## renew requirements/*.txt from requirements/*.in
	@lock() { $(PY) -m uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --python-version 3.11 requirements/$$1.in --output-file requirements/$$1.txt "$${@:2}"; }; \
	  lock dev; for group in web worker embedded; do lock $$group --constraint requirements/dev.txt; done; \
  for client in requirements/clients/*.in; do client=$${client#requirements/}; lock $${client%.in}; done
