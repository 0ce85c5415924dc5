# Needs Python 3.11 or newer, make and git. `make demo` runs a sync against sandbox servers,
# `make test` runs all tests. Both install what they need into .venv.

PYTHON ?= python3
PORT ?= 3000
MINUTES ?= 60
HOURS ?= 200
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# uv takes seconds. Where only pip's configuration says how to reach PyPI, as by a mirror, pip does it.
with_uv_or_pip = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt $(1) || $(PIP) $(1)
# Each module is compiled once, and not by each of the many processes of the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test compiled all-tests check quick-tests coverage model chaos pictures image bench conformance mutation audit lint types debian-packages constraints clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "m3sync needs Python 3.11 or newer; run make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade "pip>=25.1" uv
	$(call with_uv_or_pip,--group dev --editable .)
	@touch $@

# Runs the sandbox servers with a sample organization, a first sync, and Dagster's UI, until Ctrl-C.
demo: install
	$(BIN)/m3sync demo --port $(PORT)

# Runs the static checks, then all tests, also those with servers, daemons and a browser.
# PYTEST_ADDOPTS=--random-order runs them in another order each time.
test: install lint debian-packages
	$(MAKE) -j 2 types compiled
	$(MAKE) all-tests

# Compiles what the tests import, and the tests, before several processes need it at the same time;
# mypy uses the other core. What cannot be imported fails in the tests, with a message.
compiled: install
	-@$(BIN)/python -m pytest --collect-only -qq >/dev/null

all-tests: install
	$(BIN)/python -m pytest -n 5 --dist loadscope --no-loadscope-reorder

# Runs the static checks and the tests that start no program and use no database.
check: install lint
	$(MAKE) -j 2 types quick-tests

quick-tests: install
	$(BIN)/python -m pytest -n 4 --dist loadscope -m "not slow and not database" -q

# Runs all tests, and prints which lines and branches of the product they do not run, also in the
# programs that they start. Fails below 95 %. See docs/mutation.md.
coverage: install debian-packages
	$(call with_uv_or_pip,--group coverage)
	rm -rf .coverage-data
	-$(BIN)/coverage run -m pytest -n 4 --dist loadscope --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Arbitrary sequences of changes and failures, others each time: for so many minutes those of syncs,
# and for as many those of the guard.
model: install
	M3SYNC_MODEL_MINUTES=$(MINUTES) $(BIN)/python -m pytest -q \
	  m3sync_dagster_tests/model/test_convergence.py m3sync_dagster_tests/guard/model

# Hours of a moving organization in which connections, answers, jobs, processes and PostgreSQL fail.
# Prints the seeds; one that fails is cut down to the shortest history that fails. SEED=7 repeats one.
chaos: install
	M3SYNC_CHAOS_HOURS=$(HOURS) M3SYNC_CHAOS_SEED=$(SEED) $(BIN)/python -m pytest -q \
	  --show-capture=no m3sync_dagster_tests/chaos

# Takes the pictures of the docs. The browser tests say when they are outdated.
pictures: install debian-packages
	M3SYNC_PICTURES=$(CURDIR)/docs/pictures $(BIN)/python -m pytest -q -k pictures \
	  m3sync_dagster_tests/live/test_ui.py m3sync_dagster_tests/cli/test_demo.py

# Builds the image of deploy/Dockerfile without Docker, and runs a sync in it. As root, with Debian's
# packages buildah and mmdebstrap.
image:
	deploy/check_image.sh

# Compares m3sync with other tools, which are installed into .bench, and writes benchmarks/RESULTS.md,
# in about 15 minutes. QUICK=1 takes a few; OPTIONS="--million --hour 60 --minutes 60" adds cases.
bench: install
	$(BIN)/python benchmarks/compare.py $(if $(QUICK),--quick) $(OPTIONS)

# Runs the tests of m3ter's SDK and of jsforce, Schemathesis, Salesforce's CLI and other clients against
# the sandbox, and writes docs/conformance.md. They are installed into .conformance. The repository of
# jsforce is cloned from GitHub, or from the address in M3SYNC_JSFORCE.
conformance: install
	$(BIN)/python conformance/run.py

# Changes the code in one place at a time, and fails if no quick test and no type check notices it.
# MODULES="sync/errors.py guard" selects; SAMPLE=200 SEED=1 tries so many. See docs/mutation.md.
mutation: install
	$(call with_uv_or_pip,--group mutation)
	PATH="$(CURDIR)/$(BIN):$$PATH" TZ=America/New_York nice -n 19 $(BIN)/python mutation/run.py $(MODULES) \
	  $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

# Asks which versions of constraints.txt have a known vulnerability. Needs PyPI: pip-audit is
# installed into .audit. Fails if the data cannot be reached.
audit: install
	test -d .audit || $(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet --upgrade pip-audit
	$(BIN)/python -m m3sync_dagster_tests.security.audit_dependencies .audit/bin/pip-audit

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: install
	$(BIN)/mypy

# Some tests use Debian's Chromium, nginx, pgbouncer and Redis. If these cannot be installed, the tests are
# skipped with a message.
debian-packages:
	@for name in chromium nginx pgbouncer redis-server; do \
	  PATH="$$PATH:/usr/sbin" command -v $$name >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
	       && apt-get -qq install -y --no-install-recommends $$name >/dev/null; } \
	  || echo "$$name is not installed: the tests that need it will be skipped."; \
	done

# Writes the installed versions to constraints.txt, without their sources.
constraints: install
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf .venv .audit .bench .conformance .coverage-data mutants .m3sync .mypy_cache .ruff_cache .pytest_cache
