# Everything is done from here; `make help` lists it. Only Python 3.11+ and make are needed beforehand.

PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --no-input -q
LOCK := $(PYTHON) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --no-annotate -q
ARGS ?=

# A run of the tests starts hundreds of our processes: each would compile all of our code anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install dev up test test-long check format bench lock

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-10s %s\n' "$$name" "$$what"; done

install: .venv/.installed ## set up .venv and the `dumont` command in .venv/bin

dev: .venv/.installed-dev

up: install ## install, then start the whole system (ARGS="--port-base 9000" and the like are handed on)
	@.venv/bin/dumont up $(ARGS)

test: dev ## install, then run the tests, less the long ones (ARGS="tests/cli" runs a part)
	@$(PYTHON) -m pytest $(or $(ARGS),tests) -m "not long" -n 5 --dist loadscope --no-loadscope-reorder

test-long: dev ## the long fault and soak tests
	@$(PYTHON) -m pytest $(or $(ARGS),tests) -m long

check: dev ## formatting, lints, types, the arrows between the rooms, names, dependencies
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) -m tests.lint_names
	@.venv/bin/deptry . # every direct import is declared, nothing declared is unused

format: dev ## put the code in shape
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

bench: install ## measure what docs/performance.md reports
	@PYTHONPATH=. $(PYTHON) -m benchmarks $(ARGS)

lock: dev ## resolve the dependencies of pyproject.toml again
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

.venv/bin/python:
	@python=$$(sh cli/setup/find-python.sh) && echo "Setting up .venv with $$python" && "$$python" -m venv .venv

.venv/.installed: requirements.lock cli/setup/dumont.sh cli/setup/system-tools.sh | .venv/bin/python
	@echo "Installing from requirements.lock"
	@$(PIP) install --require-hashes -r requirements.lock </dev/null
	@sh cli/setup/system-tools.sh
	@install -m 755 cli/setup/dumont.sh .venv/bin/dumont
	@touch .venv/.installed

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "Installing from requirements-dev.lock"
	@$(PIP) install --require-hashes -r requirements-dev.lock </dev/null
	@touch .venv/.installed-dev
