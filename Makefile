# On a machine with Python 3.11 or newer, make and git: `make demo` shows m3sync at work,
# `make test` proves it. Both install what they need into .venv.

PYTHON ?= python3
PORT ?= 3000
BIN := .venv/bin

MINUTES ?= 60

.PHONY: install demo test check model lint types debian-packages constraints clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "m3sync needs Python 3.11 or newer; say make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable .
	@touch $@

# The sandbox, a sample organization, its first sync, and Dagster's UI, until Ctrl-C.
demo: install
	$(BIN)/m3sync demo --port $(PORT)

# Everything: static checks, then all tests, those with servers, daemons and a browser included.
test: install lint types debian-packages
	$(BIN)/python -m pytest -n 2 --dist loadscope

# Whether a change is good, in under two minutes.
check: install lint types
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow" -q

# Arbitrary sequences of changes and failures, others each time, for so many minutes.
model: install
	M3SYNC_MODEL_MINUTES=$(MINUTES) $(BIN)/python -m pytest -q m3sync_dagster_tests/model/test_convergence.py

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: install
	$(BIN)/mypy

# Some tests drive Debian's Chromium and pgbouncer; where these cannot be had, they are skipped and
# say so.
debian-packages:
	@for name in chromium pgbouncer; do \
	  PATH="$$PATH:/usr/sbin" command -v $$name >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
	       && apt-get -qq install -y --no-install-recommends $$name >/dev/null; } \
	  || echo "There is no $$name here: the tests that need it will be skipped."; \
	done

# Writes down the versions that are installed, and nothing about where they came from.
constraints: install
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf .venv .m3sync .mypy_cache .ruff_cache .pytest_cache
